import type { Clock, Millis } from '../runtime/clock.ts';

/** Waits for `work`, but no longer than `ms`: then `late` makes the error. `work` goes on, and nobody looks any more. */
export function within<T>(clock: Clock, ms: Millis, work: PromiseLike<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => reject(late()));
    work.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}
