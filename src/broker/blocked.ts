import type { AttemptRecord, Delivery } from './broker.ts';
import type { Blocked } from './partition.ts';

/** What is kept of a delivery that was given up, and that its partition stands still behind. */
export const blockedBy = ({ stream, id }: Delivery, { time, error_type, error_message }: AttemptRecord): Blocked => ({
  stream,
  entryId: id,
  since: time,
  errorType: error_type,
  errorMessage: error_message,
});

/** As it is kept: the id stands as scripts look for it. */
export const formatBlocked = ({ stream, entryId, since, errorType, errorMessage }: Blocked): string =>
  JSON.stringify({ stream, entry_id: entryId, since, error_type: errorType, error_message: errorMessage });

/** Null of what is no such text. */
export function parseBlocked(text: string): Blocked | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || !('stream' in parsed) || !('entry_id' in parsed)) return null;
  const of: Readonly<Record<string, unknown>> = { ...parsed };
  return {
    stream: String(of['stream']),
    entryId: String(of['entry_id']),
    since: String(of['since']),
    errorType: String(of['error_type']),
    errorMessage: String(of['error_message']),
  };
}
