import type { Delivery } from '../broker/broker.ts';
import type { StoredMessage } from '../event-store/event-store.ts';
import type { FailedMessage } from '../event-store/failures.ts';
import { storedBody } from '../event-store/stored-message.ts';
import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';
import { categoryOfStream } from '../message/stream-name.ts';

/** Where a message of the event store is, as its body says. */
export interface Place {
  readonly messageId: string | null;
  readonly messageType: string | null;
  readonly stream: string | null;
  readonly streamPosition: number | null;
}

/** The place of a message, from the envelope in its body. */
export function placeIn(body: string): Place {
  const metadata = tableAt(tableOf(JSON.parse(body)), 'metadata');
  const headers = tableAt(metadata, 'headers');
  const { position } = tableAt(metadata, 'event_store');
  return {
    messageId: textOf(headers['id']),
    messageType: textOf(headers['type']),
    stream: textOf(headers['stream']),
    streamPosition: typeof position === 'number' ? position : null,
  };
}

/**
 * What a handler is to be given of a stored message, or null: for what is no message, for one that was handled where it
 * was raised already (`asynchronous` is false), and for one whose cause is in no stream of `originStream`.
 */
export function handedOut(message: StoredMessage, originStream: string | null): string | null {
  const stored = storedBody(message);
  if (stored === null || stored.domain['asynchronous'] === false) return null;
  if (originStream === null) return stored.body;
  const origin = textOf(stored.domain['origin_stream']);
  return origin !== null && categoryOfStream(origin) === categoryOfStream(originStream) ? stored.body : null;
}

export interface Retried {
  /** What is known of its failures; null at the first attempt. */
  readonly failed: FailedMessage | null;
  readonly suspect: boolean;
  readonly crashes: number;
}

export const firstTime: Retried = { failed: null, suspect: false, crashes: 0 };

/** A message in hand; its id is its global position. */
export function toDelivery(
  category: string,
  position: bigint,
  body: string,
  { failed, suspect, crashes }: Retried,
): Delivery {
  return {
    id: String(position),
    stream: category,
    body: failed?.body ?? body,
    bare: false,
    raw: null,
    attempt: (failed?.attempts ?? 0) + 1,
    history: failed?.history ?? [],
    redelivered: failed !== null || suspect,
    suspect,
    crashes,
  };
}

const tableOf = (value: unknown): JsonObject => (isObject(value) ? value : {});
const tableAt = (parent: JsonObject, key: string): JsonObject => tableOf(parent[key]);
const textOf = (value: Json | undefined): string | null => (typeof value === 'string' && value !== '' ? value : null);
