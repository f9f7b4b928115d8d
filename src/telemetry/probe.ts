import type { Clock, Millis } from '../runtime/clock.ts';

/**
 * A question to something outside that may never answer. Asking resolves with the answer, rejects with its fault, and
 * with `fault()` when there is none within `ms`. One that is under way still is asked no second time: what stands still
 * is not sent more.
 */
export function createProbe<Answer>(
  ask: () => Promise<Answer>,
  ms: Millis,
  { clock, fault }: { readonly clock: Clock; readonly fault: () => Error },
): () => Promise<Answer> {
  let underWay: Promise<Answer> | null = null;
  const begin = () => {
    const begun = ask().finally(() => {
      underWay = null;
    });
    underWay = begun;
    return begun;
  };
  return () =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(ms, () => reject(fault()));
      (underWay ?? begin()).then(resolve, reject).finally(cancel);
    });
}
