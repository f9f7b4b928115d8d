import type { ServerConfig } from '../config/config.ts';
import { backoff } from '../runtime/backoff.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { isErrorNamed } from '../runtime/errors.ts';
import { toFailure } from '../runtime/failure.ts';
import type { Outcome } from './invoke.ts';

/**
 * `[server.version_retry]` is for when somebody else changed what the handler had read, `[server.transient_retry]` for
 * errors of the classes or codes that it names. Null: no quick retries of that kind.
 */
export type QuickRetries = Pick<ServerConfig, 'versionRetry' | 'transientRetry'>;

type QuickRetry = NonNullable<QuickRetries['versionRetry']>;

export interface QuickRetriesDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** The hard stop: no more tries after it. */
  readonly hard: AbortSignal;
}

/**
 * Calls a handler again at once, inside one attempt, where its failure is of a kind that is over in a moment. `call`
 * must bring a message decoded anew each time. What still fails after the last try is the outcome of the attempt.
 */
export async function withQuickRetries(
  call: () => Promise<Outcome>,
  { versionRetry, transientRetry }: QuickRetries,
  { clock, random, hard }: QuickRetriesDeps,
): Promise<Outcome> {
  const tries = { version: 0, transient: 0 };
  for (;;) {
    const outcome = await call();
    if (outcome.kind !== 'failed' || hard.aborted) return outcome;
    const { error } = outcome;
    const kind = isConflict(error) ? 'version' : 'transient';
    const rule = kind === 'version' ? versionRetry : transientRetry;
    if (rule === null) return outcome;
    if (kind === 'transient' && !isOneOf(error, transientRetry?.exceptions ?? [])) return outcome;
    if (tries[kind] >= rule.maxRetries) return outcome;
    tries[kind] += 1;
    await clock.sleep(waitBefore(tries[kind], rule, random), hard);
  }
}

/** Spread a little, so that two that met do not meet again. */
function waitBefore(retry: number, { baseMs, maxMs, growth }: QuickRetry, random: Random): Millis {
  const policy = { baseMs: growth === 'linear' ? baseMs * retry : baseMs, maxMs, jitter: 0.25 };
  return backoff({ ...policy, factor: growth === 'exponential' ? 2 : 1 }, retry, random);
}

/** ConcurrencyError, and what PostgreSQL says of a transaction that lost against another: 40001, 40P01. */
const isConflict = (error: Error): boolean =>
  isErrorNamed(error, 'ConcurrencyError') || /^40(001|P01)$/.test(toFailure(error).code ?? '');

const isOneOf = (error: Error, names: readonly string[]): boolean =>
  names.some((name) => isErrorNamed(error, name) || toFailure(error).code === name);
