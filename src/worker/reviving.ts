import { setMaxListeners } from 'node:events';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { LoopOptionsFor } from '../runtime/loop.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';
import type { HealthState } from '../telemetry/health.ts';
import { isStalled } from '../telemetry/health.ts';

export interface RevivingDeps {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly loopOptions: LoopOptionsFor;
  readonly state: Pick<HealthState, 'loops'>;
  /** Told when a service was begun anew in vain: only a new process helps. */
  readonly onHopeless: (reason: string) => void;
}

const lookEveryMs: Millis = 1_000;
/** What was cut short may take so long to end; then it is left behind, and has no part in anything any more. */
const graceMs: Millis = 5_000;
/** So many times within `memoryMs`, and it is not tried again. */
const mostTimes = 3;
const memoryMs: Millis = 600_000;

/** A service and the loops that it has begun. */
interface Life {
  readonly service: Service;
  readonly loops: ReadonlySet<string>;
  /** From here on its loops are heard of no more. */
  bury(): void;
}

/**
 * Runs a service, and begins it anew, alone, when one of its loops makes no step within its bound: something it awaits
 * never comes. What it had in hand is given back, or comes again when it has been idle for long enough. `create` makes
 * a new one each time, as the old one may never end.
 */
export function reviving(create: (loopOptions: LoopOptionsFor) => Service, deps: RevivingDeps): Service {
  const { clock, emit, state, onHopeless } = deps;
  const first = begin(create, deps);
  const { name } = first.service;

  /** The loop that stands still; null when `stop` aborts first. */
  async function watch({ loops }: Life, stop: AbortSignal): Promise<string | null> {
    while (!stop.aborted) {
      await clock.sleep(lookEveryMs, stop);
      if (stop.aborted) break;
      const now = clock.monotonic();
      for (const loop of loops) if (isStalled(state.loops.get(loop), now)) return loop;
    }
    return null;
  }

  async function run({ soft, hard }: Shutdown): Promise<void> {
    const wedgedAt: Millis[] = [];
    for (let life = first; ; life = begin(create, deps)) {
      const cut = new AbortController();
      const over = new AbortController();
      const stops = { soft: AbortSignal.any([soft, cut.signal]), hard: AbortSignal.any([hard, cut.signal]) };
      // Every loop of a subscription listens.
      setMaxListeners(0, stops.soft, stops.hard);
      const ended = life.service.run(stops).finally(() => over.abort());
      const loop = await Promise.race([ended.then(() => null), watch(life, AbortSignal.any([soft, over.signal]))]);
      if (loop === null) return await Promise.race([ended, leftBehind(hard, over.signal)]);
      const now = clock.monotonic();
      wedgedAt.push(now);
      const times = wedgedAt.filter((at) => now - at < memoryMs).length;
      emit({ event: 'loop.wedged', loop, service: name, times });
      life.bury();
      for (const each of life.loops) state.loops.delete(each);
      cut.abort();
      await Promise.race([ended.catch(() => undefined), clock.sleep(graceMs, over.signal)]);
      if (times >= mostTimes) return onHopeless(`${loop} has stopped ${times} times`);
      if (soft.aborted) return;
    }
  }

  /** Resolves a while after the hard stop: what does not hear it is not waited for. */
  async function leftBehind(hard: AbortSignal, ended: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      if (hard.aborted || ended.aborted) return resolve();
      hard.addEventListener('abort', () => resolve(), { once: true });
      ended.addEventListener('abort', () => resolve(), { once: true });
    });
    await clock.sleep(graceMs, ended);
  }

  return { name, run };
}

function begin(create: (loopOptions: LoopOptionsFor) => Service, { loopOptions }: RevivingDeps): Life {
  const loops = new Set<string>();
  let buried = false;
  const service = create((loop, boundMs) => {
    const options = loopOptions(loop, boundMs);
    const { observer } = options;
    const unlessBuried =
      <Args extends readonly unknown[]>(say: (...args: Args) => void) =>
      (...args: Args): void => {
        if (!buried) say(...args);
      };
    return {
      ...options,
      observer: {
        started: unlessBuried(() => {
          loops.add(loop);
          observer.started();
        }),
        stepped: unlessBuried(observer.stepped),
        failed: unlessBuried(observer.failed),
        recovered: unlessBuried(observer.recovered),
        ended: unlessBuried(observer.ended),
      },
    };
  });
  return {
    service,
    loops,
    bury() {
      buried = true;
    },
  };
}
