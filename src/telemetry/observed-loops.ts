import type { BackoffPolicy } from '../runtime/backoff.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { toError } from '../runtime/failure.ts';
import type { LoopOptionsFor } from '../runtime/loop.ts';
import type { Emit } from './event.ts';

const whenFailing: BackoffPolicy = { baseMs: 100, factor: 2, maxMs: 5_000, jitter: 0.25 };

/** No loop rests or waits longer than this between its steps, unless it says so. */
const stepBoundMs: Millis = 90_000;

/** Options for loops whose life is told as facts. */
export const observedLoops =
  (clock: Clock, random: Random, emit: Emit): LoopOptionsFor =>
  (loop, bound_ms = stepBoundMs) => ({
    clock,
    random,
    whenFailing,
    observer: {
      started: () => emit({ event: 'loop.started', loop, bound_ms }),
      stepped: () => emit({ event: 'loop.stepped', loop }),
      failed: (error, failures, retry_in_ms) =>
        emit({ event: 'loop.failed', loop, failures, retry_in_ms, err: toError(error) }),
      recovered: (failures) => emit({ event: 'loop.recovered', loop, failures }),
      ended: () => emit({ event: 'loop.ended', loop }),
    },
  });
