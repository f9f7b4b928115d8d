import type { SubscriptionConfig } from '../config/config.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Breaker } from './circuit-breaker.ts';

/** Whether deliveries may be asked for: all, one to probe a failing handler, only what a halt admits, or none for a while. */
export type Gate =
  | { readonly kind: 'open' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'halted'; readonly untilMs: Millis }
  | { readonly kind: 'shut'; readonly untilMs: Millis };

/** `active`: how many deliveries a handler has or will soon have. `now` is monotonic. */
export function gateOf(
  breaker: Breaker,
  halted: boolean,
  active: number,
  now: Millis,
  { retry, breaker: { resetAfterMs } }: Pick<SubscriptionConfig, 'retry' | 'breaker'>,
): Gate {
  if (breaker.state === 'open') return { kind: 'shut', untilMs: Math.max(1, breaker.until - now) };
  if (halted) return { kind: 'halted', untilMs: Math.max(1, retry.backoff.maxMs) };
  if (breaker.state === 'closed') return { kind: 'open' };
  return active === 0 ? { kind: 'probe' } : { kind: 'shut', untilMs: resetAfterMs };
}
