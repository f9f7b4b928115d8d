import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Millis } from '../../src/runtime/clock.ts';
import { loop } from '../../src/runtime/loop.ts';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';
import { createEmit } from '../../src/telemetry/fan-out.ts';
import { createHealthState, followEvents, liveness } from '../../src/telemetry/health.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import { reviving } from '../../src/worker/reviving.ts';
import { createManualClock } from '../support/manual-clock.ts';

const boundMs: Millis = 10_000;

/** A service whose loop steps every second, until `wedges` says that it never returns. */
function given(wedges: (life: number, step: number) => boolean, deaf = false) {
  const clock = createManualClock(0);
  const state = createHealthState();
  const events: TelemetryEvent[] = [];
  const emit = createEmit([(event) => void events.push(event), followEvents(state, clock)]);
  const hopeless: string[] = [];
  const steps: string[] = [];
  let lives = 0;
  const service = reviving(
    (loopOptions) => {
      lives += 1;
      const life = lives;
      let step = 0;
      return {
        name: 'Billing',
        async run({ soft, hard }) {
          const once = async (): Promise<Millis> => {
            step += 1;
            steps.push(`${life}.${step}`);
            if (wedges(life, step)) {
              await new Promise<void>((resolve) => {
                if (!deaf) hard.addEventListener('abort', () => resolve());
              });
            }
            return 1_000;
          };
          await loop(once, soft, loopOptions('Billing:read', boundMs));
        },
      };
    },
    {
      clock,
      emit,
      state,
      loopOptions: observedLoops(clock, () => 0.5, emit),
      onHopeless: (reason) => void hopeless.push(reason),
    },
  );
  const [soft, hard] = [new AbortController(), new AbortController()];
  const ended = service.run({ soft: soft.signal, hard: hard.signal });
  const wedged = () => events.flatMap((each) => (each.event === 'loop.wedged' ? [each] : []));
  return { clock, state, steps, wedged, hopeless, soft, hard, ended, lives: () => lives };
}

async function pass(clock: ReturnType<typeof createManualClock>, ms: Millis): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) await clock.advance(500);
}

describe('a service whose loop stands still', () => {
  it('is begun anew alone, and alive again', async () => {
    const { clock, state, steps, wedged, hopeless, soft, ended } = given((life, step) => life === 1 && step === 3);
    await pass(clock, 9_000);
    assert.equal(steps.at(-1), '1.3');
    assert.deepEqual(wedged(), []);
    await pass(clock, 10_000);
    assert.deepEqual(wedged(), [{ event: 'loop.wedged', loop: 'Billing:read', service: 'Billing', times: 1 }]);
    assert.match(steps.at(-1) ?? '', /^2\./);
    assert.equal(liveness(state, clock.monotonic()).status, 200);
    assert.deepEqual(hopeless, []);
    soft.abort();
    await pass(clock, 1_000);
    await ended;
  });

  it('is left behind where it does not even hear that it is to stop, and is heard of no more', async () => {
    const { clock, state, wedged, lives, soft, ended } = given((life, step) => life === 1 && step === 1, true);
    await pass(clock, 20_000);
    assert.equal(wedged().length, 1);
    assert.equal(lives(), 2);
    assert.equal(liveness(state, clock.monotonic()).status, 200);
    soft.abort();
    await pass(clock, 1_000);
    await ended;
  });

  it('ends the process when that was in vain three times', async () => {
    const { clock, wedged, hopeless, lives } = given(() => true, true);
    await pass(clock, 60_000);
    assert.deepEqual(
      wedged().map(({ times }) => times),
      [1, 2, 3],
    );
    assert.deepEqual(hopeless, ['Billing:read has stopped 3 times']);
    assert.equal(lives(), 3);
  });

  it('is not waited for after the hard stop', async () => {
    const { clock, soft, hard, ended } = given(() => true, true);
    await pass(clock, 1_000);
    soft.abort();
    hard.abort();
    await pass(clock, 6_000);
    await ended;
  });
});

describe('a service that steps', () => {
  it('is left alone, and ends when it is told to', async () => {
    const { clock, wedged, lives, soft, ended } = given(() => false);
    await pass(clock, 120_000);
    assert.deepEqual(wedged(), []);
    assert.equal(lives(), 1);
    soft.abort();
    await pass(clock, 1_000);
    await ended;
  });
});
