import { randomUUID } from 'node:crypto';
import type { Append, AppendedMessage } from '../message/append.ts';
import { isoTime } from '../message/compose.ts';
import type { JsonObject } from '../message/message.ts';
import type { Millis } from '../runtime/clock.ts';

/** What a subscription writes to the store about itself. */
export type RecordType = 'Read' | 'Failed' | 'Resolved' | 'Exhausted' | 'Checkpoint';

export interface SubscriptionRecord {
  readonly type: RecordType;
  readonly facts: JsonObject;
}

/** An append of such records. Their kind is none of a message, so no subscription hands them to a handler. */
export const recordsTo = (
  stream: string,
  category: string,
  records: readonly SubscriptionRecord[],
  now: Millis,
  expectedVersion: number | null = null,
): Append => ({
  stream,
  expectedVersion,
  messages: records.map((record) => toMessage(stream, category, record, now)),
});

function toMessage(
  stream: string,
  category: string,
  { type, facts }: SubscriptionRecord,
  now: Millis,
): AppendedMessage {
  const id = randomUUID();
  const metadata = {
    headers: { id, type, time: isoTime(now), stream },
    domain: { kind: 'READ_POSITION', origin_stream: category },
  };
  return { id, type, dataText: JSON.stringify(facts), metadataText: JSON.stringify(metadata), numbered: false };
}
