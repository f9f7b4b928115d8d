import type { Clock, Millis } from './clock.ts';

/** A rest that can be cut short: for a loop that waits for work, and whoever brings it. */
export interface Wake {
  /** Ends the rest under way; without one, the next rest ends at once. */
  notify(): void;
  /** Resolves when notified, after `ms`, or when `signal` aborts. One waiter at a time. */
  rest(ms: Millis, signal: AbortSignal): Promise<void>;
}

export function createWake(clock: Clock): Wake {
  let notified = false;
  let resting: AbortController | null = null;
  return {
    notify() {
      notified = true;
      resting?.abort();
    },
    async rest(ms, signal) {
      if (!notified && ms > 0 && !signal.aborted) {
        const cut = new AbortController();
        resting = cut;
        const end = () => cut.abort();
        signal.addEventListener('abort', end, { once: true });
        await clock.sleep(ms, cut.signal);
        signal.removeEventListener('abort', end);
        resting = null;
      }
      notified = false;
    },
  };
}
