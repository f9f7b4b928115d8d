import { setTimeout as delay } from 'node:timers/promises';

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
}

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
};

/** Uniform in [0, 1). The system's in production, a fixed or seeded one in tests. */
export type Random = () => number;

export const systemRandom: Random = Math.random;
