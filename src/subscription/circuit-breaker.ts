import type { SubscriptionConfig } from '../config/config.ts';
import type { Millis } from '../runtime/clock.ts';

/**
 * closed ──failures ≥ threshold──▶ open ──resetAfterMs──▶ half_open
 *   ▲                                ▲                        │
 *   └────────── success ─────────────┼──────── failure ───────┘
 */
export type Breaker =
  | { readonly state: 'closed'; readonly failures: number }
  | { readonly state: 'open'; readonly until: Millis }
  | { readonly state: 'half_open' };

export const closed: Breaker = { state: 'closed', failures: 0 };

/** The breaker as of `now` (monotonic): an open one lets a probe through once its time is up. */
export const at = (breaker: Breaker, now: Millis): Breaker =>
  breaker.state === 'open' && now >= breaker.until ? { state: 'half_open' } : breaker;

/** The breaker after a handler has ended. Successes and failures that arrive while it is open change nothing. */
export function after(
  breaker: Breaker,
  succeeded: boolean,
  now: Millis,
  config: SubscriptionConfig['breaker'],
): Breaker {
  if (breaker.state === 'open') return breaker;
  if (succeeded) return breaker.state === 'closed' && breaker.failures === 0 ? breaker : closed;
  const failures = breaker.state === 'closed' ? breaker.failures + 1 : config.threshold;
  return failures >= config.threshold
    ? { state: 'open', until: now + config.resetAfterMs }
    : { state: 'closed', failures };
}
