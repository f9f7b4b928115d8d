import { createHash } from 'node:crypto';
import type { Millis } from '../runtime/clock.ts';
import type { JsonObject, Kind, Metadata, TraceParent } from './message.ts';
import { categoryOfStream, commandCategory, streamOf } from './stream-name.ts';
import { formatTypeName } from './type-name.ts';

/** A message that is about to be written to an outbox. The options are those of the SQL functions, checked before. */
export interface NewMessage {
  readonly kind: Kind;
  /** `OrderPlaced`. */
  readonly name: string;
  /** With its domain: `bookshelf::order`; for commands without `:command`. */
  readonly category: string;
  /** The aggregate; null for a command that names none. */
  readonly id: string | null;
  readonly dataText: string;
  readonly options: JsonObject;
}

export interface Composed {
  readonly messageId: string;
  readonly stream: string;
  readonly category: string;
  readonly type: string;
  readonly metadata: Metadata;
}

export interface ComposeFacts {
  readonly normalized: string;
  readonly camel: string;
  /** ISO-8601 with `+00:00`. */
  readonly time: string;
  /** A UUID of version 8, which marks ids that are unique. */
  readonly uuid: string;
  /** Larger with each message. */
  readonly sequence: string;
}

/**
 * The envelope of a new message, every key present: the same as the SQL functions make. An event's id is
 * `<stream>-<aggregate version>.<n>`, with a version of 0 where none is told, or of an event-sourced aggregate as it is given. A command's id is fresh, or, with an
 * idempotency key, always the same: the inbox then lets it have its effect once.
 */
export function compose(message: NewMessage, facts: ComposeFacts): Composed {
  const { kind, name, options } = message;
  const { normalized, camel, time, uuid, sequence } = facts;
  const isCommand = kind === 'COMMAND';
  const category = isCommand ? commandCategory(message.category) : message.category;
  const version = numberAt(options, 'version') ?? 1;
  const type = formatTypeName({ domain: camel, name, version });
  const n = numberAt(options, 'sequence') ?? sequence;
  const sequenceId = textAt(options, 'sequence_id') ?? `${numberAt(options, 'aggregate_version') ?? 0}.${n}`;
  const key = textAt(options, 'idempotency_key');
  const commandId = key === null ? uuid : idempotentId(category, name, key);
  const given = textAt(options, 'message_id');
  const stream = streamOf(category, message.id ?? given ?? commandId);
  const messageId = given ?? (isCommand ? commandId : `${stream}-${sequenceId}`);
  const metadata: Metadata = {
    headers: {
      id: messageId,
      time,
      type,
      stream,
      traceparent: traceparentAt(options),
      idempotency_key: textAt(options, 'idempotency_key'),
      deadline: instantAt(options, 'deadline'),
    },
    envelope: { specversion: '1.0', checksum: null },
    domain: {
      fqn: `${normalized}.${name}`,
      kind,
      origin_stream: null,
      stream_category: isCommand ? null : categoryOfStream(stream),
      version,
      sequence_id: isCommand ? null : sequenceId,
      asynchronous: true,
      expected_version: numberAt(options, 'expected_version'),
      priority: numberAt(options, 'priority') ?? 0,
      correlation_id: textAt(options, 'correlation_id'),
      causation_id: textAt(options, 'causation_id'),
    },
    event_store: null,
    extensions: objectAt(options, 'extensions') ?? {},
  };
  return { messageId, stream, category, type, metadata };
}

/** What brokers other than the domain's own get of it. */
export function externalMetadata({ headers, domain, extensions }: Metadata): JsonObject {
  const { expected_version: _expected, asynchronous: _asynchronous, priority: _priority, ...told } = domain;
  const all = { headers: { ...headers, traceparent: headers.traceparent && { ...headers.traceparent } }, domain: told };
  const envelope = { specversion: '1.0' };
  return Object.keys(extensions).length === 0 ? { ...all, envelope } : { ...all, envelope, extensions };
}

/** A UUID of version 8 made of what names the command: the same as `outbox_process_command` makes. */
function idempotentId(category: string, name: string, key: string): string {
  const hex = createHash('sha256').update(`${category}\n${name}\n${key}`).digest('hex');
  const part = (from: number, to: number) => hex.slice(from, to);
  return `${part(0, 8)}-${part(8, 12)}-8${part(13, 16)}-a${part(17, 20)}-${part(20, 32)}`;
}

const instantAt = (options: JsonObject, key: string): string | null => {
  const value = textAt(options, key);
  return value === null ? null : isoTime(Date.parse(value));
};

/** As the wire has times: microseconds, and `+00:00`. */
export const isoTime = (at: Millis): string => new Date(at).toISOString().replace('Z', '000+00:00');

const textAt = (options: JsonObject, key: string): string | null => {
  const value = options[key];
  return typeof value === 'string' ? value : null;
};

const numberAt = (options: JsonObject, key: string): number | null => {
  const value = options[key];
  return typeof value === 'number' ? value : null;
};

const objectAt = (options: JsonObject, key: string): JsonObject | null => {
  const value = options[key];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
};

function traceparentAt(options: JsonObject): TraceParent | null {
  const found = objectAt(options, 'traceparent');
  const traceId = found === null ? null : textAt(found, 'trace_id');
  const parentId = found === null ? null : textAt(found, 'parent_id');
  if (traceId === null || parentId === null) return null;
  return { trace_id: traceId, parent_id: parentId, sampled: found?.['sampled'] === true };
}
