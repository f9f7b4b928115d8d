/** A span of milliseconds, or an instant as milliseconds since the Unix epoch. */
export type Millis = number;

/** The daemon's only source of time. Tests pass a clock they move by hand. */
export interface Clock {
  /** The wall clock: for timestamps that people or other systems read, never for measuring a span. */
  now(): Millis;
  /** A clock that never jumps: for deadlines, trust windows and durations. Its zero is arbitrary. */
  monotonic(): Millis;
  /** Resolves after `ms`, or as soon as `signal` aborts. Never rejects. */
  sleep(ms: Millis, signal: AbortSignal): Promise<void>;
  /** Calls `then` after `ms`, unless cancelled before: the cheap way to bound what nearly always ends in time. */
  after(ms: Millis, then: () => void): () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  // By hand, since the promise of node:timers makes an error for each sleep that is cut short, and most are.
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(ms, longestMs));
      signal.addEventListener('abort', wake, { once: true });
    }),
  after(ms, then) {
    const timer = setTimeout(then, Math.min(ms, longestMs));
    return () => clearTimeout(timer);
  },
};

/** What a timer of Node can hold: about 25 days. Longer ones would end at once. */
const longestMs: Millis = 2 ** 31 - 1;

/** Uniform in [0, 1). The system's in production, a fixed or seeded one in tests. */
export type Random = () => number;

export const systemRandom: Random = Math.random;
