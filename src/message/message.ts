/** JSON as JSON.parse gives it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export type Kind = 'EVENT' | 'COMMAND';

/** The envelope of a message as it stands on the wire. Every key is present, nulls included. */
export interface Metadata {
  readonly headers: {
    readonly id: string;
    /** ISO-8601 with `+00:00`. */
    readonly time: string | null;
    /** `<Camel>.<Class>.v<n>`. */
    readonly type: string;
    /** The stream of one aggregate. */
    readonly stream: string;
    readonly traceparent: TraceParent | null;
    readonly idempotency_key: string | null;
    readonly deadline: string | null;
  };
  readonly envelope: { readonly specversion: string; readonly checksum: string | null };
  readonly domain: {
    readonly fqn: string | null;
    readonly kind: Kind;
    readonly origin_stream: string | null;
    readonly stream_category: string | null;
    readonly version: number;
    readonly sequence_id: string | null;
    readonly asynchronous: boolean;
    readonly expected_version: number | null;
    readonly priority: number;
    readonly correlation_id: string | null;
    readonly causation_id: string | null;
  };
  readonly event_store: JsonObject | null;
  readonly extensions: JsonObject;
}

/** A trace context as the wire has it: an object, not the W3C string. */
export interface TraceParent {
  readonly trace_id: string;
  readonly parent_id: string;
  readonly sampled: boolean;
}

/** A command or an event, as handlers see it. */
export interface Message<Data = JsonObject> {
  /** Unique for events and for commands sent by domaind; stable over republishing, redelivery and replay. */
  readonly id: string;
  readonly kind: Kind;
  /** `Bookshelf.OrderPlaced.v1`. */
  readonly type: string;
  /** `OrderPlaced`: what `handles` is keyed by. */
  readonly name: string;
  readonly version: number;
  /** The stream of one aggregate: `bookshelf::order-42`. */
  readonly stream: string;
  /** `bookshelf::order`, or `bookshelf::order:command` for commands. */
  readonly category: string;
  /** When it was raised, ISO-8601, or null where the producer gave none. */
  readonly time: string | null;
  readonly data: Data;
  readonly metadata: Metadata;
}
