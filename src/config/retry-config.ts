import type { Millis } from '../runtime/clock.ts';

/** Retries inside one attempt, before the subscription's own policy is asked. */
export interface QuickRetryConfig {
  /** Tries after the first. */
  readonly maxRetries: number;
  readonly baseMs: Millis;
  readonly maxMs: Millis;
  /** How the waits grow: twice as long each time, by `baseMs` each time, not at all. */
  readonly growth: 'exponential' | 'linear' | 'fixed';
}

/** What to do with errors of one class or code. Null where the subscription's own setting holds. */
export interface RetryRule {
  readonly maxAttempts: number | null;
  readonly delayMs: Millis | null;
  /** From one wait to the next. */
  readonly factor: number | null;
  readonly maxDelayMs: Millis | null;
  /** `retry` by these settings; the others give the message up at once. */
  readonly action: 'retry' | 'dead_letter' | 'discard';
}

/** When a failing subscription pauses. */
export interface BreakerConfig {
  /** Failures in a row that open it. */
  readonly threshold: number;
  readonly resetAfterMs: Millis;
}
