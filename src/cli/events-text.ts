import type { StoredMessage } from '../event-store/event-store.ts';
import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';

/** What people ask about a stored message, beside its place. Null where it has none: snapshots, foreign rows. */
export interface MessageFacts {
  readonly messageId: string | null;
  readonly kind: string | null;
  readonly correlationId: string | null;
  readonly causationId: string | null;
}

export function factsOf({ metadataText }: StoredMessage): MessageFacts {
  const metadata = metadataText === null ? null : (JSON.parse(metadataText) as Json);
  const headers = part(metadata, 'headers');
  const domain = part(metadata, 'domain');
  return {
    messageId: textAt(headers, 'id'),
    kind: textAt(domain, 'kind'),
    correlationId: textAt(domain, 'correlation_id'),
    causationId: textAt(domain, 'causation_id'),
  };
}

/** `Bookshelf.OrderPlaced.v1` → `OrderPlaced`; other types as they are. */
export const nameOf = (type: string): string => /^[^.]+\.([^.]+)\.v\d+$/.exec(type)?.[1] ?? type;

/** `2026-11-23 14:34:47.511`: enough for a table, in UTC as it is kept. */
export const shortTime = (time: string): string => time.slice(0, 23).replace('T', ' ');

/** A message in the JSON of every subcommand; its payload only where that was asked for. */
export function jsonOf(message: StoredMessage, withPayload: boolean): JsonObject {
  const { messageId, kind, correlationId, causationId } = factsOf(message);
  const { stream, type, position, globalPosition, time, dataText, metadataText } = message;
  const told = {
    global_position: Number(globalPosition),
    stream,
    position,
    type,
    message_id: messageId,
    kind,
    time,
    correlation_id: correlationId,
    causation_id: causationId,
  };
  if (!withPayload) return told;
  return {
    ...told,
    data: JSON.parse(dataText) as Json,
    metadata: metadataText === null ? null : (JSON.parse(metadataText) as Json),
  };
}

const part = (parent: Json, key: string): JsonObject => {
  const value = isObject(parent) ? parent[key] : null;
  return isObject(value) ? value : {};
};

const textAt = (parent: JsonObject, key: string): string | null => {
  const value = parent[key];
  return typeof value === 'string' ? value : null;
};
