import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createLingering } from '../../src/handler/lingering.ts';
import type { Running, RunningCall } from '../../src/handler/running.ts';
import { createRunning } from '../../src/handler/running.ts';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';

const facts = (id: string) => ({
  handler: 'Orders',
  stream: 'shop::order',
  message_id: id,
  message_type: 'Shop.OrderPlaced.v1',
  correlation_id: null,
  attempt: 1,
});
const aCall = (id: string): RunningCall => ({ facts: () => facts(id) });
const seen = (running: Running) => {
  const { certain, calls } = running.suspects();
  return [certain, calls.map((call) => call.message_id)];
};

describe('the suspicion of who is at fault', () => {
  for (const exact of [true, false]) {
    it(`is certain in what a handler does before it waits (${exact ? 'exact' : 'by what is under way'})`, () => {
      const running = createRunning(exact);
      running.enter(aCall('other'), () => undefined);
      assert.deepEqual(
        running.enter(aCall('m-1'), () => seen(running)),
        [true, ['m-1']],
      );
    });
  }

  it('is certain afterwards too, and beyond the handler’s end, where it is exact', async () => {
    const running = createRunning(true);
    const [one, other] = [aCall('m-1'), aCall('m-2')];
    const later = async () => {
      await turn();
      return seen(running);
    };
    const [first, second] = [running.enter(one, later), running.enter(other, later)];
    running.leave(one);
    assert.deepEqual(await Promise.all([first, second]), [
      [true, ['m-1']],
      [true, ['m-2']],
    ]);
  });

  it('falls on all that are under way otherwise, and on the last one where there are none', async () => {
    const running = createRunning(false);
    const [one, other] = [aCall('m-1'), aCall('m-2')];
    running.enter(one, turn);
    running.enter(other, turn);
    await turn();
    assert.deepEqual(seen(running), [false, ['m-1', 'm-2']]);
    running.leave(one);
    assert.deepEqual(seen(running), [false, ['m-2']]);
    running.leave(other);
    assert.deepEqual(seen(running), [false, ['m-2']]);
    assert.deepEqual(seen(createRunning(false)), [false, []]);
  });
});

describe('the handlers that linger', () => {
  it('are counted while they do, and told of once when they are too many', async () => {
    const events: TelemetryEvent[] = [];
    const tooMany: number[] = [];
    const lingering = createLingering(1, {
      emit: (event) => void events.push(event),
      onTooMany: (count) => void tooMany.push(count),
    });
    let end: () => void = () => undefined;
    lingering.add(facts('m-1'), new Promise((resolve) => (end = resolve)));
    lingering.add(facts('m-2'), new Promise(() => undefined));
    lingering.add(null, new Promise(() => undefined));
    assert.deepEqual([lingering.count, tooMany], [3, [2]]);
    end();
    await turn();
    assert.equal(lingering.count, 2);
    assert.deepEqual(events[0], {
      event: 'handler.lingering',
      subscription: 'Orders',
      message_type: 'Shop.OrderPlaced.v1',
      message_id: 'm-1',
      lingering: 1,
    });
  });
});
