import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls `send` with 1, 2, 3 … at random moments, `perSecond` on average (a Poisson process, as independent senders make
 * it), for `seconds`. A slow call does not hold up the next. Resolves with how many there were once all have ended.
 */
export async function arrivals(
  perSecond: number,
  seconds: number,
  send: (n: number) => Promise<unknown>,
): Promise<number> {
  const startedAt = performance.now();
  const under: Promise<unknown>[] = [];
  let dueMs = 0;
  for (let n = 1; ; n += 1) {
    dueMs += (-Math.log(1 - Math.random()) * 1_000) / perSecond;
    if (dueMs > seconds * 1_000) break;
    const waitMs = startedAt + dueMs - performance.now();
    if (waitMs > 1) await delay(waitMs);
    under.push(send(n));
  }
  await Promise.all(under);
  return under.length;
}
