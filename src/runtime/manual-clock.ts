import type { Clock, Millis } from './clock.ts';

export interface ManualClock extends Clock {
  /** Moves time forward, waking sleepers in order and letting each run on before the next. */
  advance(ms: Millis): Promise<void>;
}

/** A clock that stands still until told otherwise. */
export function createManualClock(start: Millis = 0): ManualClock {
  let now = start;
  const sleepers: { readonly at: Millis; readonly wake: () => void }[] = [];
  const settle = async () => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const sleeper: { readonly at: Millis; wake: () => void } = { at: now + ms, wake: () => undefined };
        const wake = () => {
          signal.removeEventListener('abort', wake);
          const index = sleepers.indexOf(sleeper);
          if (index !== -1) sleepers.splice(index, 1);
          resolve();
        };
        sleeper.wake = wake;
        signal.addEventListener('abort', wake, { once: true });
        sleepers.push(sleeper);
      }),
    after(ms, then) {
      const sleeper = {
        at: now + ms,
        wake() {
          drop();
          then();
        },
      };
      const drop = () => {
        const index = sleepers.indexOf(sleeper);
        if (index !== -1) sleepers.splice(index, 1);
      };
      sleepers.push(sleeper);
      return drop;
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      for (;;) {
        const next = sleepers.reduce<(typeof sleepers)[number] | null>(
          (first, each) => (first === null || each.at < first.at ? each : first),
          null,
        );
        if (next === null || next.at > until) break;
        now = Math.max(now, next.at);
        next.wake();
        await settle();
      }
      now = until;
      await settle();
    },
  };
}
