import { setTimeout as delay } from 'node:timers/promises';

/** Asks again until the answer is not null; fails with what it was waiting for when the time is up. */
export async function until<T>(what: string, ask: () => Promise<T | null>, withinMs = 30_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms for ${what}`);
    await delay(50);
  }
}
