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
  let end: (() => void) | null = null;
  return {
    notify() {
      notified = true;
      end?.();
    },
    async rest(ms, signal) {
      if (!notified && ms > 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const stop = () => {
            cancel();
            signal.removeEventListener('abort', stop);
            resolve();
          };
          const cancel = clock.after(ms, stop);
          signal.addEventListener('abort', stop, { once: true });
          end = stop;
        });
        end = null;
      }
      notified = false;
    },
  };
}
