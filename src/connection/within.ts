import type { Clock, Millis } from '../runtime/clock.ts';

/** Waits for `work`, but no longer than `ms`: then `late` makes the error. `work` goes on, and nobody looks any more. */
export async function within<T>(clock: Clock, ms: Millis, work: PromiseLike<T>, late: () => Error): Promise<T> {
  const done = new AbortController();
  const expired = Symbol('expired');
  try {
    const outcome = await Promise.race([work, clock.sleep(ms, done.signal).then((): typeof expired => expired)]);
    if (outcome === expired) throw late();
    // Only `expired` is not a T, and it is gone.
    return outcome as T;
  } finally {
    done.abort();
  }
}
