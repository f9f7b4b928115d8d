import type { Millis } from '../runtime/clock.ts';
import type { Delivery, Settlement } from './broker.ts';

/** A key in hand. Its generation grows with every change of owner: it is the fence, without which nothing is written. */
export interface Lease {
  readonly key: string;
  readonly generation: number;
}

/** Who takes part in the partitions of a group. */
export interface PartitionOptions {
  readonly group: string;
  /** Unique to this process and subscription, without colons. */
  readonly owner: string;
  /** The partitions of a key in all of them have one owner. */
  readonly categories: readonly string[];
  /** What the names of backfill lanes end with; null where there are none. */
  readonly laneSuffix: string | null;
  readonly leaseTtlMs: Millis;
}

/** New entries are wanted of a key, or, with `from`, those that its owner has pending. */
export interface PartitionRequest {
  readonly lease: Lease;
  readonly count: number;
  /** For each stream of `streamsOf`, behind which id; null of those that are looked through. */
  readonly from: readonly (string | null)[] | null;
}

/** What came of one request. */
export interface PartitionReply {
  readonly lease: Lease;
  /** False where the lease is another's by now: nothing was read. */
  readonly owned: boolean;
  readonly deliveries: readonly Delivery[];
  /** Of `streamsOf`, the streams on which there may be more behind the last of them. */
  readonly more: readonly string[];
  /** Ids of pending entries that were trimmed or deleted under the group. */
  readonly lost: readonly string[];
  /** Streams on which the group had to be made. */
  readonly made: readonly string[];
  /** Why nothing can be read of this key; its neighbours are not concerned. */
  readonly error: Error | null;
}

/** Something to be done with a delivery by the owner of its key. */
export interface Fenced<Thing> {
  readonly lease: Lease;
  readonly thing: Thing;
}

export interface PartitionHint {
  readonly key: string;
  /** It was given back: anybody may take it. */
  readonly freed: boolean;
}

/**
 * The partitions of one group, as one owner sees them: one stream for each key, each key owned by one lease. Every method
 * throws UnavailableError when the broker cannot be reached or does not answer in time, and MisconfiguredError when it
 * answers with what waiting does not mend. What is written for a key is written only while its lease is ours.
 */
export interface Partitions {
  /** All streams of a key, in the order of preference: what is replayed before what is new, a lane last. */
  streamsOf(key: string): readonly string[];
  /** Some of the keys there are; `next` is null at the end of them. */
  keys(cursor: string | null): Promise<{ readonly keys: readonly string[]; readonly next: string | null }>;
  /** Says that this owner lives; how many there are, itself included. */
  join(): Promise<number>;
  /** Says that it goes. */
  leave(): Promise<void>;
  /**
   * Takes those of the keys that nobody owns, with all that their former owners have pending; `pending` where there is
   * any. A key that is ours already is answered with the lease it has. What another owner had in hand when it was last
   * heard of comes as suspect; what this one had, or what was given back, does not. No more than `limit` are taken.
   */
  acquire(
    keys: readonly string[],
    limit?: number,
  ): Promise<readonly { readonly lease: Lease; readonly pending: boolean }[]>;
  /** Extends leases; returns those that are another's by now. */
  renew(leases: readonly Lease[]): Promise<readonly Lease[]>;
  /** Gives keys back, and what is pending of them, so that another owner can take them at once, as if never delivered. */
  release(leases: readonly Lease[]): Promise<void>;
  read(requests: readonly PartitionRequest[]): Promise<readonly PartitionReply[]>;
  /** Makes each settlement so; returns those whose key another owns by now, and which were left alone. */
  settle(settlements: readonly Fenced<Settlement>[]): Promise<readonly Delivery[]>;
  /** Counts a start that has no outcome yet; false where the key is another's. */
  recordStart(delivery: Fenced<Delivery>): Promise<boolean>;
  /** Those of them that are still pending and ours, fresh from the broker. */
  retake(held: readonly Fenced<Delivery>[]): Promise<readonly Delivery[]>;
  /** Those of them that are no longer pending, or no longer ours. */
  gone(held: readonly Fenced<Delivery>[]): Promise<readonly Delivery[]>;
  /**
   * Removes keys of ours that have been idle for `idleMs`: nothing added since, nothing pending, nothing unread in any
   * group, `groups` among them. Streams, bookkeeping, leases and the place in the index go at once or not at all.
   */
  reap(leases: readonly Lease[], idleMs: Millis, groups: readonly string[]): Promise<readonly Lease[]>;
  /** Removes old entries of the keys beyond the newest `keep`, but none that some group needs; how many. */
  trim(keys: readonly string[], keep: number): Promise<number>;
  /** Keys in which something is new, or that were given back: hints. Empty after `ms`, or when `signal` aborts. */
  hear(ms: Millis, signal: AbortSignal): Promise<readonly PartitionHint[]>;
  close(): Promise<void>;
}

/** How a key stands in one group. */
export interface PartitionState {
  readonly key: string;
  readonly owner: string | null;
  readonly generation: number | null;
  readonly lag: number;
  readonly lagMs: Millis;
  readonly pending: number;
  readonly oldestPendingMs: Millis | null;
  readonly blocked: Blocked | null;
}

/** A message that was given up, and that the messages behind it wait for. */
export interface Blocked {
  readonly stream: string;
  readonly entryId: string;
  /** ISO-8601. */
  readonly since: string;
  readonly errorType: string;
  readonly errorMessage: string;
}

/** The partitions of a group as operators and gauges see them. */
export interface PartitionView {
  /** Every key, in no order. */
  states(): Promise<readonly PartitionState[]>;
  /** The streams of dead letters that have any, with how many. */
  deadLetters(): Promise<readonly { readonly stream: string; readonly count: number }[]>;
  /** The delivery that a key stands still behind, as its next owner would get it; null where it does not stand still. */
  blocking(key: string): Promise<{ readonly blocked: Blocked; readonly delivery: Delivery } | null>;
  /** Acknowledges it, or moves it to `to`, and lets those behind it go on; false where it is settled already. */
  unblock(
    key: string,
    blocked: Blocked,
    to: { readonly stream: string; readonly body: string } | null,
  ): Promise<boolean>;
}

export type PartitionViewOptions = Pick<PartitionOptions, 'group' | 'categories' | 'laneSuffix'>;

/** What a broker with partitions can do beside the rest. */
export interface PartitionBroker {
  /** Connects to nothing yet. */
  open(options: PartitionOptions): Partitions;
  view(options: PartitionViewOptions): PartitionView;
}
