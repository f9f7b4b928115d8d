import type { Millis, Random } from './clock.ts';

export interface BackoffPolicy {
  readonly baseMs: Millis;
  readonly factor: number;
  readonly maxMs: Millis;
  /** Fraction of the delay to spread around it: 0 for none, 0.25 for ±25 %. */
  readonly jitter: number;
}

/** The wait before attempt `attempt + 1`, given that `attempt` (counted from 1) has failed. Never above `maxMs`. */
export function backoff(policy: BackoffPolicy, attempt: number, random: Random): Millis {
  const { baseMs, factor, maxMs, jitter } = policy;
  const delay = Math.min(maxMs, baseMs * factor ** (attempt - 1));
  return Math.min(maxMs, Math.round(delay * (1 + jitter * (2 * random() - 1))));
}
