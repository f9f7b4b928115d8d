import type { Message } from '../message/message.ts';
import type { Millis } from '../runtime/clock.ts';

/** How a command with an idempotency key ended: what is told to whoever sends the same key again. */
export type Answer =
  /** What its handler returned, as JSON; null for nothing that JSON can say. */
  | { readonly kind: 'done'; readonly text: string | null }
  /** `type`, `code` and `message` of the error. */
  | { readonly kind: 'failed'; readonly text: string };

export type Claim =
  /** Nobody has it, or the same owner: it is to be carried out. */
  | { readonly kind: 'claimed' }
  /** Another owner carries it out, or will try again. */
  | { readonly kind: 'held' }
  | { readonly kind: 'answered'; readonly answer: Answer };

export interface KeyTimes {
  /** How long a key is kept. */
  readonly ttlMs: Millis;
  /** How long the key of a command that failed is kept. */
  readonly errorTtlMs: Millis;
}

/**
 * The keys of commands that were or are being carried out, shared by all replicas. An owner is one entry of a stream, or
 * one call: it takes its own key again after a crash or a failure, and others do not while the key is kept. Every method
 * throws UnavailableError where the store is away.
 */
export interface Idempotency {
  /** `again`: also takes the key of a command that failed, as for a replay that somebody asked for. */
  claim(key: string, owner: string, again: boolean): Promise<Claim>;
  /** Does nothing where the key is another owner's by now. */
  settle(key: string, owner: string, answer: Answer): Promise<void>;
  /** Forgets keys whose time is over, at most `limit`; the count. 0 where they go by themselves. */
  purge(limit: number): Promise<number>;
}

/** What a command's idempotency key is kept under, or null where it has none. */
export function idempotencyKeyOf({ kind, category, name, metadata }: Message): string | null {
  // A producer may have left it out: the wire decides, not the type.
  const key: unknown = metadata.headers?.idempotency_key;
  return kind === 'COMMAND' && typeof key === 'string' && key !== '' ? `${category}:${name}:${key}` : null;
}
