import type { BackoffPolicy } from './backoff.ts';
import { backoff } from './backoff.ts';
import type { Clock, Millis, Random } from './clock.ts';

export interface LoopOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The growing rest after steps that failed. */
  readonly whenFailing: BackoffPolicy;
  /** Called for each failed step, with the failures in a row so far. */
  readonly onError: (error: unknown, failures: number, restMs: Millis) => void;
  /** Called after each step, failed or not: the sign of life that `/livez` rests on. */
  readonly onStep: () => void;
}

/**
 * Repeats `step` until `stop` aborts. Each step answers how long to rest before the next one.
 * This is the one place that waits out a broken database or broker: a step that throws is repeated after a growing
 * rest, and the count returns to zero with the next success.
 */
export async function loop(step: () => Promise<Millis>, stop: AbortSignal, options: LoopOptions): Promise<void> {
  const { clock, random, whenFailing, onError, onStep } = options;
  let failures = 0;
  while (!stop.aborted) {
    let restMs: Millis;
    try {
      restMs = await step();
      failures = 0;
    } catch (error) {
      if (stop.aborted) return;
      failures += 1;
      restMs = backoff(whenFailing, failures, random);
      onError(error, failures, restMs);
    }
    onStep();
    if (restMs > 0) await clock.sleep(restMs, stop);
  }
}
