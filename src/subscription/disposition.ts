import type { RetryConfig } from '../config/config.ts';
import type { Outcome } from '../handler/invoke.ts';
import type { BackoffPolicy } from '../runtime/backoff.ts';
import { backoff } from '../runtime/backoff.ts';
import type { Millis, Random } from '../runtime/clock.ts';
import { CrashLoopError, classNamesOf, DeadlinePassedError, DecodeError, isErrorNamed } from '../runtime/errors.ts';

/** What is to become of a delivery. */
export type Disposition =
  | { readonly kind: 'ack' }
  /** Another attempt, this one counted. */
  | { readonly kind: 'retry'; readonly inMs: Millis; readonly error: Error }
  /** Another try at the same attempt: what failed was not the handler but something it needs. */
  | { readonly kind: 'postpone'; readonly inMs: Millis; readonly error: Error }
  | { readonly kind: 'dead_letter' | 'discard' | 'halt'; readonly error: Error };

/** Between tries while a database or a broker is away; nothing is counted meanwhile. */
const whenUnavailable = { baseMs: 500, factor: 2, maxMs: 15_000, jitter: 0.25 };

/**
 * The one rule of retrying: given how attempt number `attempt` ended, what happens next. `unavailable` counts the
 * deliveries in a row, this one included, that ended for want of infrastructure.
 */
export function decide(
  outcome: Outcome,
  attempt: number,
  unavailable: number,
  retry: RetryConfig,
  random: Random,
): Disposition {
  switch (outcome.kind) {
    case 'done':
      return { kind: 'ack' };
    case 'unavailable':
      return {
        kind: 'postpone',
        inMs: backoff(whenUnavailable, Math.max(1, unavailable), random),
        error: outcome.error,
      };
    case 'failed': {
      const { error } = outcome;
      const rule = ruleFor(error, retry.rules);
      if (rule !== null && rule.action !== 'retry') return { kind: rule.action, error };
      // Nobody waits for it any more: no reason to stop for.
      if (error instanceof DeadlinePassedError && retry.onExhausted === 'halt') return { kind: 'discard', error };
      const maxAttempts = rule?.maxAttempts ?? retry.maxAttempts;
      if (isHopeless(error) || attempt >= maxAttempts) return { kind: retry.onExhausted, error };
      const policy = rule === null ? retry.backoff : backoffBy(rule, retry.backoff);
      return { kind: 'retry', inMs: askedFor(error) ?? backoff(policy, attempt, random), error };
    }
  }
}

type RetryRule = NonNullable<ReturnType<RetryConfig['rules']['get']>>;

/** The rule for an error's code, or for the nearest of its classes. By name: a module may have its own copy of a class. */
function ruleFor(error: Error, rules: RetryConfig['rules']): RetryRule | null {
  if (rules.size === 0) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  for (const name of [...(code === null ? [] : [code]), ...classNamesOf(error)]) {
    const rule = rules.get(name);
    if (rule !== undefined) return rule;
  }
  return null;
}

function backoffBy({ delayMs, factor, maxDelayMs }: RetryRule, policy: BackoffPolicy): BackoffPolicy {
  const baseMs = delayMs ?? policy.baseMs;
  return { ...policy, baseMs, factor: factor ?? policy.factor, maxMs: Math.max(baseMs, maxDelayMs ?? policy.maxMs) };
}

const isHopeless = (error: Error): boolean =>
  error instanceof DecodeError ||
  error instanceof CrashLoopError ||
  error instanceof DeadlinePassedError ||
  isErrorNamed(error, 'NonRetryableError');

/** The wait that a RetryAfterError asks for, or null. */
function askedFor(error: Error): Millis | null {
  if (!isErrorNamed(error, 'RetryAfterError') || !('afterMs' in error)) return null;
  const { afterMs } = error;
  return typeof afterMs === 'number' && Number.isFinite(afterMs) && afterMs >= 0 ? afterMs : null;
}
