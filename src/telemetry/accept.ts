import type { Json, JsonObject, TraceParent } from '../message/message.ts';

/** What a sender may say of a message besides its payload. Null where it says nothing. */
export interface IngressOptions {
  readonly version: number | null;
  readonly priority: number | null;
  readonly partitionKey: string | null;
  readonly correlationId: string | null;
  readonly traceparent: TraceParent | null;
  /** ISO-8601: not before. */
  readonly deliverAt: string | null;
}

export interface IngressCommandOptions extends IngressOptions {
  /** The aggregate that the command is for. */
  readonly id: string | null;
  readonly idempotencyKey: string | null;
  /** ISO-8601. */
  readonly deadline: string | null;
}

export interface IngressEventOptions extends IngressOptions {
  /** Also to the external brokers. */
  readonly published: boolean | null;
}

export interface Accepted {
  readonly messageId: string;
  /** The stream that it goes to. */
  readonly stream: string;
  /** It was handled here and now: what the handler returned. Left out: it is on its way. */
  readonly handled?: { readonly value: unknown };
}

/**
 * Where what comes in by HTTP goes. Each resolves once the message is safe: in the outbox, or on its stream. Throws
 * UnavailableError when that cannot be had now, and UsageError for what the sender can mend.
 */
export interface Accept {
  command(name: string, category: string, data: JsonObject, options: IngressCommandOptions): Promise<Accepted>;
  event(name: string, category: string, id: string, data: JsonObject, options: IngressEventOptions): Promise<Accepted>;
  publish(stream: string, data: Json): Promise<Accepted>;
}
