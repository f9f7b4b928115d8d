import type { BackoffPolicy } from './backoff.ts';
import { backoff } from './backoff.ts';
import type { Clock, Millis, Random } from './clock.ts';

/** Who watches a loop: what is logged, counted, and asked by `/livez` comes from here. */
export interface LoopObserver {
  started(): void;
  /** After each step, failed or not: the sign of life. */
  stepped(): void;
  /** With the failures in a row so far. */
  failed(error: unknown, failures: number, retryInMs: Millis): void;
  recovered(failures: number): void;
  ended(): void;
}

export interface LoopOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The growing rest after steps that failed. */
  readonly whenFailing: BackoffPolicy;
  readonly observer: LoopObserver;
}

/** Options for a loop of that name, whose steps take, with their rest, no longer than `boundMs`. */
export type LoopOptionsFor = (name: string, boundMs?: Millis) => LoopOptions;

/**
 * Repeats `step` until `stop` aborts. Each step answers how long to rest before the next one.
 * This is the one place that waits out a broken database or broker: a step that throws is repeated after a growing
 * rest, and the count returns to zero with the next success.
 */
export async function loop(step: () => Promise<Millis>, stop: AbortSignal, options: LoopOptions): Promise<void> {
  const { clock, random, whenFailing, observer } = options;
  let failures = 0;
  observer.started();
  while (!stop.aborted) {
    let restMs: Millis;
    try {
      restMs = await step();
      if (failures > 0) observer.recovered(failures);
      failures = 0;
    } catch (error) {
      if (stop.aborted) break;
      failures += 1;
      restMs = backoff(whenFailing, failures, random);
      observer.failed(error, failures, restMs);
    }
    observer.stepped();
    if (restMs > 0) await clock.sleep(restMs, stop);
  }
  observer.ended();
}
