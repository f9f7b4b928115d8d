import { isObject, notJson } from '../message/codec.ts';
import type { Json, JsonObject, Message, TraceParent } from '../message/message.ts';

/** An entry of an external stream: any JSON, and what could be told of it. */
export interface External {
  readonly kind: 'EXTERNAL';
  /** The id of the event where the payload is one with an envelope, else the stream's and the entry's. */
  readonly id: string;
  readonly stream: string;
  readonly correlationId: string | null;
  readonly traceparent: TraceParent | null;
  readonly payload: Json;
}

/** What a handler is called for. Its payload is the handler's own: nobody else sees what the handler does to it. */
export type Incoming = Message | External;

/**
 * The payload of an entry of an external stream, from its field `data`. Throws DecodeError where that is not JSON. The
 * correlation id is looked for in `metadata.domain.correlation_id`, `metadata.correlation_id` and `correlation_id`.
 */
export function openExternal(body: string, stream: string, entryId: string): External {
  const payload = parse(body);
  const metadata = tableAt(payload, 'metadata');
  const headers = tableAt(metadata, 'headers');
  const domain = tableAt(metadata, 'domain');
  const isEvent = domain['kind'] === 'EVENT' && isText(headers['id']);
  const correlationId = [domain['correlation_id'], metadata['correlation_id'], tableOf(payload)['correlation_id']];
  return {
    kind: 'EXTERNAL',
    // Ids of other payloads are not known to be unique, and a message taken for a duplicate would be lost.
    id: isEvent ? String(headers['id']) : `${stream}#${entryId}`,
    stream,
    correlationId: correlationId.find(isText) ?? null,
    traceparent: traceparentIn(headers),
    payload,
  };
}

/** The correlation id of any incoming message, or null. */
export function correlationIdOf(incoming: Incoming): string | null {
  if (incoming.kind === 'EXTERNAL') return incoming.correlationId;
  const id = tableAt(incoming.metadata, 'domain')['correlation_id'];
  return isText(id) ? id : null;
}

/** The trace that any incoming message belongs to, or null. */
export const traceparentOf = (incoming: Incoming): TraceParent | null =>
  incoming.kind === 'EXTERNAL' ? incoming.traceparent : traceparentIn(tableAt(incoming.metadata, 'headers'));

function traceparentIn(headers: JsonObject): TraceParent | null {
  const { trace_id, parent_id, sampled } = tableAt(headers, 'traceparent');
  return isText(trace_id) && isText(parent_id) ? { trace_id, parent_id, sampled: sampled === true } : null;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const tableOf = (value: unknown): JsonObject => (isObject(value) ? value : {});
/** A table that a producer may have left out: the wire decides, not the type. */
const tableAt = (parent: unknown, key: string): JsonObject => tableOf(tableOf(parent)[key]);

function parse(body: string): Json {
  try {
    return JSON.parse(body) as Json;
  } catch {
    throw notJson(body);
  }
}
