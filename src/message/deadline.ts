import type { Millis } from '../runtime/clock.ts';
import { DeadlinePassedError } from '../runtime/errors.ts';

/**
 * The instant until which a message is worth handling, or null where it names none that can be read. A time without a
 * zone is UTC, as the wire's own times are.
 */
export function deadlineIn(headers: { readonly deadline?: unknown } | null | undefined): Millis | null {
  const deadline = headers?.deadline;
  if (typeof deadline !== 'string') return null;
  const at = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(deadline) ? deadline : `${deadline}Z`);
  return Number.isNaN(at) ? null : at;
}

/** What is wrong with a message whose deadline has passed. */
export const deadlinePassed = (deadlineAt: Millis): DeadlinePassedError =>
  new DeadlinePassedError(`the deadline of the message, ${new Date(deadlineAt).toISOString()}, has passed`);
