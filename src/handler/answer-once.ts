import { DomaindError, NonRetryableError, UnavailableError } from '../runtime/errors.ts';
import { toFailure } from '../runtime/failure.ts';
import type { Outcome } from './call-function.ts';
import type { Answer, Claim, Idempotency } from './idempotency.ts';

export interface Asked {
  readonly key: string;
  readonly owner: string;
  /** Also after a failure that is not forgotten yet. */
  readonly again: boolean;
  /** Whether somebody waits for the answer: one who does is told of a failure, too. Default: nobody does. */
  readonly awaited?: boolean;
}

/** Longer answers are not kept: whoever asks again is told that it is done, and no more. */
const maxAnswer = 65_536;

/**
 * Carries a command out unless its key was seen before; then the first answer is the outcome: what the first handler
 * returned, as `duplicate`. A duplicate of one that failed or is still being tried is a duplicate, too: the first is
 * retried or set aside where it came from. Only one who waits is told that it failed, or to ask again. Never rejects.
 */
export async function answerOnce(
  { key, owner, again, awaited = false }: Asked,
  idempotency: Idempotency,
  run: () => Promise<Outcome>,
): Promise<Outcome> {
  let claim: Claim;
  try {
    claim = await idempotency.claim(key, owner, again);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return { kind: 'unavailable', error };
  }
  const refusal = awaited ? refusalIn(claim) : null;
  if (refusal !== null) return refusal;
  if (claim.kind !== 'claimed') return { kind: 'done', effect: 'duplicate', value: valueIn(claim) };
  const outcome = await run();
  const answer = answerOf(outcome);
  if (answer === null) return outcome;
  try {
    await idempotency.settle(key, owner, answer);
  } catch (error) {
    // It is done all the same. The key stays its owner's until its time is over, so that others find it held.
    if (!(error instanceof UnavailableError)) throw error;
  }
  return outcome;
}

function refusalIn(claim: Claim): Outcome | null {
  switch (claim.kind) {
    case 'claimed':
      return null;
    case 'held': {
      const text = 'a command with this idempotency key is being carried out: ask again for its answer';
      return { kind: 'unavailable', error: new UnavailableError('in_progress', text) };
    }
    case 'answered':
      return claim.answer.kind === 'failed' ? { kind: 'failed', error: errorIn(claim.answer.text) } : null;
  }
}

/** The error of the first try, as far as it was kept. */
function errorIn(text: string): Error {
  const { type, code, message }: { readonly type?: string; readonly code?: string; readonly message?: string } =
    JSON.parse(text);
  const told = message ?? 'the first command with this idempotency key failed';
  return type === 'NonRetryableError' ? new NonRetryableError(told) : new DomaindError(code ?? 'failed_before', told);
}

function valueIn(claim: Claim): unknown {
  if (claim.kind !== 'answered' || claim.answer.kind !== 'done' || claim.answer.text === null) return undefined;
  return JSON.parse(claim.answer.text);
}

/** What is kept of an outcome; null while nothing has come of it. */
function answerOf(outcome: Outcome): Answer | null {
  switch (outcome.kind) {
    case 'done':
      return { kind: 'done', text: textOf(outcome.value) };
    case 'failed': {
      const { type, code, message } = toFailure(outcome.error);
      return { kind: 'failed', text: JSON.stringify({ type, code, message }) };
    }
    case 'unavailable':
      return null;
  }
}

function textOf(value: unknown): string | null {
  try {
    const text = JSON.stringify(value);
    return typeof text === 'string' && text.length <= maxAnswer ? text : null;
  } catch {
    // A handler may return what JSON cannot say.
    return null;
  }
}
