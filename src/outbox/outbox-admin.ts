import type { JsonObject } from '../message/message.ts';
import type { Millis } from '../runtime/clock.ts';

export const outboxStatuses = ['pending', 'failed', 'abandoned', 'published'] as const;
export type OutboxStatus = (typeof outboxStatuses)[number];

/** Which rows; null: any. Times are by the database's clock. */
export interface RowFilter {
  /** The stream of one aggregate, or a category. */
  readonly stream: string | null;
  /** `OrderPlaced`, or in full `Bookshelf.OrderPlaced.v1`. */
  readonly type: string | null;
  /** Since it was written. */
  readonly olderThanMs: Millis | null;
}

/** A row as an operator sees it: without its payload. Times are ISO-8601. */
export interface RowFacts {
  /** A bigint as text. */
  readonly id: string;
  readonly messageId: string;
  readonly stream: string;
  readonly category: string;
  readonly type: string;
  readonly status: OutboxStatus;
  readonly priority: number;
  readonly partitionKey: string | null;
  /** Null: the broker of `[outbox]`. */
  readonly targetBroker: string | null;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  /** Times that the broker refused it. */
  readonly retryCount: number;
  readonly nextRetryAt: string | null;
  readonly deliverAt: string | null;
  readonly createdAt: string;
  readonly publishedAt: string | null;
  readonly abandonedAt: string | null;
  readonly ageMs: Millis;
  /** What was said last: `type`, `code`, `message`, `stack`, `time`. */
  readonly lastError: JsonObject | null;
}

export interface RowWithPayload extends RowFacts {
  readonly dataText: string;
  readonly metadataText: string;
}

export interface StatusCount {
  readonly status: OutboxStatus;
  readonly count: number;
  /** The number of published rows of a large table is what the planner takes it for. */
  readonly estimated: boolean;
}

export interface LeaseFacts {
  readonly name: string;
  readonly owner: string;
  readonly token: string;
  /** Negative: it ran out, or was handed over, so long ago. */
  readonly expiresInMs: Millis;
}

/** Rows by their ids, and by their messages' ids. */
export interface RowIds {
  readonly rows: readonly string[];
  readonly messages: readonly string[];
}

/** A batch of a longer work: how many rows, and the last id, to go on from; null at the end. */
export interface Batch {
  readonly count: number;
  readonly last: string | null;
}

/** Published rows of a span of time, `until` exclusive; ISO-8601. */
export interface PublishedSpan {
  readonly since: string;
  readonly until: string;
  readonly stream: string | null;
}

/**
 * What an operator may ask of a database's outbox, with or without a relay at work on it: what the relay confirms
 * meanwhile stays published. Every method throws UnavailableError and MisconfiguredError as the outbox does.
 */
export interface OutboxAdmin {
  /** The database's name in domain.toml. */
  readonly database: string;
  counts(): Promise<readonly StatusCount[]>;
  /** Those that are not published oldest first, published ones newest first. */
  list(statuses: readonly OutboxStatus[], filter: RowFilter, limit: number): Promise<readonly RowFacts[]>;
  /** By row ids, and by message ids: there is no index on those. */
  find(ids: RowIds): Promise<readonly RowWithPayload[]>;
  /** Failed and abandoned rows back to pending, their count set back. Returns them. */
  retry(ids: RowIds): Promise<readonly RowFacts[]>;
  /** The same for all that fit, a batch from the id `after` on. */
  retryAll(status: 'failed' | 'abandoned', filter: RowFilter, after: string, limit: number): Promise<Batch>;
  /** Pending and failed rows are given up. Returns them. */
  abandon(ids: RowIds): Promise<readonly RowFacts[]>;
  /** An instant by the database's clock, as ISO-8601; null: now. Throws UsageError for a time that is none. */
  instant(at: { readonly agoMs: Millis } | { readonly iso: string } | null): Promise<string>;
  countPublished(span: PublishedSpan): Promise<number>;
  /** Published rows back to pending, a batch from the id `after` on. */
  replay(span: PublishedSpan, after: string, limit: number): Promise<Batch>;
  /** Deletes rows that were published or abandoned before `before`, a batch from the id `after` on. */
  purge(status: 'published' | 'abandoned', before: string, after: string, limit: number): Promise<Batch>;
  /** The leases that relays own shards by, and others of this database. */
  leases(): Promise<readonly LeaseFacts[]>;
  close(): Promise<void>;
}
