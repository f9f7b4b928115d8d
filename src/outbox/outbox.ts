import type { Millis } from '../runtime/clock.ts';
import type { Failure } from '../runtime/failure.ts';
import type { LeaseStore } from '../runtime/lease.ts';

/** A message in the outbox, committed with the change it tells of. The texts are passed on verbatim. */
export interface OutboxRow {
  /** A bigint as text: its order is the order of insertion. */
  readonly id: string;
  readonly messageId: string;
  /** The stream of one aggregate, which the order is kept for. */
  readonly stream: string;
  readonly category: string;
  readonly kind: 'EVENT' | 'COMMAND';
  readonly dataText: string;
  readonly metadataText: string;
  /** Higher is sooner; below the lanes' threshold it goes to the backfill lane. */
  readonly priority: number;
  readonly partitionKey: string | null;
  /** The publish attempt that is to be made now, counted from 1. */
  readonly attempt: number;
  /** Since the row was written, by the database's clock. */
  readonly ageMs: Millis;
}

/** A publish attempt that the broker said no to. `retryInMs` null: given up, the row is abandoned. */
export interface Refusal {
  readonly id: string;
  readonly failure: Failure;
  readonly retryInMs: Millis | null;
}

export interface ReadRows {
  readonly limit: number;
  /** Rows whose publication is under way: left out. */
  readonly inFlight: readonly string[];
}

/**
 * One shard of a database's outbox, for one target broker, read by the one relay that holds its lease.
 * Every method throws UnavailableError when the database cannot be reached or does not answer in time.
 */
export interface Outbox {
  /**
   * Rows that are due, in the order of their ids. A row behind a refused one of the same stream is not due, so that
   * each stream keeps its order; other streams go on. Rows too large to be published are refused by the adapter itself.
   */
  read(request: ReadRows): Promise<readonly OutboxRow[]>;
  /** Marks rows whose publication was confirmed. Right even if the lease was lost meanwhile, so never fenced. */
  published(ids: readonly string[]): Promise<void>;
  /** Writes down what the broker refused; without effect when `fence` is no longer the lease's token. */
  refused(refusals: readonly Refusal[], fence: string): Promise<void>;
}

export interface OutboxStats {
  readonly pending: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly oldestPendingMs: Millis | null;
}

/** A database's outbox as a whole. */
export interface OutboxStore {
  /** The database's name in domain.toml. */
  readonly database: string;
  readonly leases: LeaseStore;
  /** How many shards the outbox is cut into: kept in the database, the same for all replicas. */
  shards(): Promise<number>;
  shard(index: number, shards: number, broker: string | null, leaseName: string): Outbox;
  stats(broker: string | null): Promise<OutboxStats>;
  /** Deletes published rows older than `publishedMs` and abandoned ones older than `abandonedMs`, at most `limit`; the count. */
  purge(publishedMs: Millis, abandonedMs: Millis, limit: number): Promise<number>;
}
