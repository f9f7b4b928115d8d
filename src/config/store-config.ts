import type { Millis } from '../runtime/clock.ts';

/** Commands with a key that was seen before bring the first answer. */
export interface IdempotencyConfig {
  /** Holds a password: never logged. Null: keys are kept in the database of the handler. */
  readonly redisUrl: string | null;
  readonly ttlMs: Millis;
  readonly errorTtlMs: Millis;
}

/** The table that makes a handler's effects happen once: how long its rows are kept. */
export interface InboxConfig {
  readonly retentionMs: Millis;
  readonly batchSize: number;
}

/** A cache of the domain. */
export type CacheConfig =
  | { readonly provider: 'memory'; readonly name: string; readonly ttlMs: Millis }
  | { readonly provider: 'redis'; readonly name: string; readonly uri: string; readonly ttlMs: Millis };

/** Where the schemas of messages are. */
export interface SchemasConfig {
  /** A folder of JSON Schemas of messages, absolute, or null. */
  readonly path: string | null;
  /** What becomes of a field of a payload that its schema does not name. */
  readonly unknownFields: 'keep' | 'strip' | 'refuse';
}
