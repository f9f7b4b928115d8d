import type { Millis } from '../runtime/clock.ts';
import type { Failure } from '../runtime/failure.ts';
import type { PartitionBroker } from './partition.ts';

/** What a broker can do. The conformance suite asks of each adapter what its capabilities promise, and no more. */
export interface Capabilities {
  /** Consumer groups: each group sees every entry, each entry goes to one consumer of the group. */
  readonly groups: boolean;
  /** Entries that are not acknowledged come again, with their attempts counted durably. */
  readonly redelivery: boolean;
  /** Dead letters, written atomically with the acknowledgement. */
  readonly deadLetters: boolean;
  /** Entries outlive this process. */
  readonly persistence: boolean;
  /** Streams of one key each, with one owner in a group at a time. */
  readonly partitions: boolean;
}

/** What is to be put on a stream. */
export interface Outgoing {
  readonly stream: string;
  readonly body: string;
  /**
   * What the order is kept for, usually the stream of one aggregate: after a refused entry, the later ones of the batch
   * with the same key are not attempted and come back as `held`. Null: no order is asked for.
   */
  readonly key: string | null;
  /** Of a partition: put into the index of partitions before the entry is appended, in one step with it. */
  readonly partition?: Partition;
}

/** A stream that holds the entries of one key, and the set that names all such keys of its category. */
export interface Partition {
  readonly index: string;
  readonly key: string;
}

export type PublishResult =
  | { readonly kind: 'confirmed'; readonly id: string }
  /** The broker said no to this entry, and would again: its row's fault, not the broker's. */
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** Not attempted, because an earlier entry with the same key was refused. */
  | { readonly kind: 'held' };

/** How many replicas of the broker must have a batch, and how long they are waited for. */
export interface PublishWait {
  readonly replicas: number;
  readonly timeoutMs: Millis;
}

/** One try at handling, as kept in the broker's bookkeeping and in a dead letter. */
export interface AttemptRecord {
  /** ISO-8601. */
  readonly time: string;
  readonly consumer: string;
  readonly error_type: string;
  readonly error_message: string;
}

/** An entry in a consumer's hand. */
export interface Delivery {
  readonly id: string;
  readonly stream: string;
  /** The text of the field `data`; of an entry without it, the JSON object of its fields (then `bare` is true). */
  readonly body: string;
  readonly bare: boolean;
  /** The entry's bytes where they are not UTF-8, so that nothing is lost by reading them as text; else null. */
  readonly raw: Uint8Array | null;
  /** The try that is to be made now, counted from 1: one more than the failures in the broker's durable bookkeeping. */
  readonly attempt: number;
  /** The failures so far, oldest first. */
  readonly history: readonly AttemptRecord[];
  /** Whether it was handed to a consumer before. */
  readonly redelivered: boolean;
  /**
   * Its former consumer died with it in hand, so it may be what killed it: `recordStart` must be awaited before
   * the handler runs, and suspects run one at a time. `crashes` counts the starts that had no outcome.
   */
  readonly suspect: boolean;
  readonly crashes: number;
}

/** What is to be done with a delivery, or has been decided of it. */
export type Settlement =
  | { readonly kind: 'ack'; readonly delivery: Delivery }
  /** Stays pending and ours; the failure is added to its durable history. `retake` brings it back when due. */
  | { readonly kind: 'retry'; readonly delivery: Delivery; readonly failure: AttemptRecord }
  /** To `stream`, with `body`, and acknowledged: atomically, once, and only if still ours. */
  | { readonly kind: 'dead_letter'; readonly delivery: Delivery; readonly stream: string; readonly body: string }
  /**
   * Back to the group, as if never delivered: no attempt is counted. It looks untouched for `idleMs`, so that it is taken
   * as soon as it has been so for as long as the taker asks; without it, at once.
   */
  | { readonly kind: 'give_back'; readonly delivery: Delivery; readonly idleMs?: Millis }
  /** Stays pending and ours, with all that is behind it in its partition. Only where the consumer is `partitioned`. */
  | { readonly kind: 'halt'; readonly delivery: Delivery; readonly failure: AttemptRecord };

export interface ReadRequest {
  /** At most so many entries, over all streams. */
  readonly count: number;
  /** How long to wait where there are none; 0 returns at once. */
  readonly blockMs: Millis;
  /** Acknowledgements to make in the same round trip. Only these: the rest goes through `settle`. */
  readonly acks: readonly Delivery[];
  readonly signal: AbortSignal;
}

/**
 * One consumer of one group on one or more streams. Every method throws UnavailableError when the broker cannot be reached or
 * does not answer in time, and MisconfiguredError when it answers with what waiting does not mend; an outage is never
 * an empty list. After an UnavailableError of `read`, the next `read` first brings what was delivered into the void.
 */
export interface Consumer {
  readonly group: string;
  readonly name: string;
  /** All of them: lanes, and those that stand aside. */
  readonly streams: readonly string[];
  /** Its deliveries come from partitions: what is behind one waits for its settlement, so that this is made at once. */
  readonly partitioned?: boolean;
  /** New entries. Returns early, and empty, when `signal` aborts. */
  read(request: ReadRequest): Promise<readonly Delivery[]>;
  /** Makes each settlement so; returns those that another consumer owns by now, which were left alone. */
  settle(settlements: readonly Settlement[]): Promise<readonly Delivery[]>;
  /** Writes down that the handler is about to run (see Delivery.suspect). */
  recordStart(delivery: Delivery): Promise<void>;
  /** The entries, fresh from the broker, of deliveries that are due again; those that are no longer ours are left out. */
  retake(held: readonly Delivery[]): Promise<readonly Delivery[]>;
  /** Says that these are still being worked on; returns those that are no longer ours. */
  heartbeat(held: readonly Delivery[]): Promise<readonly Delivery[]>;
  /**
   * Takes what others gave back and looks untouched for `minIdleMs`: cheap where there is nothing, so that it can be asked
   * each second.
   */
  takeGivenBack(count: number, minIdleMs: Millis): Promise<readonly Delivery[]>;
  /** Takes over entries that no consumer has touched for `minIdleMs`. `lost`: ids whose entries were trimmed away. */
  reclaim(
    count: number,
    minIdleMs: Millis,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly lost: readonly string[] }>;
  /**
   * Removes the oldest entries of its streams beyond the newest `keep`, but none that some group has not read and
   * acknowledged; how many. `keep` is a wish: more may stay, for a while or for long.
   */
  trim(keep: number): Promise<number>;
  /** Removes this consumer if it holds nothing, and its dead siblings that are empty and idle for `olderThanMs`. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export interface ConsumeOptions {
  /**
   * They take turns, and a read is shared out among them. A list in the place of a stream is the lanes of one, in the order
   * of preference: entries of a later lane are read only where the earlier ones have none.
   */
  readonly streams: readonly (string | readonly string[])[];
  /**
   * Streams that seldom have anything: their new entries come with `reclaim`, so that reading costs no more for them.
   * Brokers without dead letters pass them over.
   */
  readonly aside?: readonly string[];
  readonly group: string;
  readonly consumer: string;
}

/** What `status`, `/readyz` and the metrics ask of a group on a stream. Null where the broker does not know. */
export interface GroupState {
  readonly lag: number | null;
  readonly lagMs: Millis | null;
  readonly pending: number;
  readonly oldestPendingMs: Millis | null;
}

/** Between processes: streams that producers append to and groups read from. At least once, in the order of publication. */
export interface Broker {
  /** Its name in domain.toml. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Null where it has none. */
  readonly partitions: PartitionBroker | null;
  /**
   * Appends a batch in one round trip and in order; one result per entry, in the same order. Throws UnavailableError
   * when the broker cannot be reached or the outcome is unknown: then any of the entries may be on their streams. So it
   * is, too, when fewer replicas than `wait` asks for have the batch in time; a broker without replicas waits for none.
   */
  publish(entries: readonly Outgoing[], wait?: PublishWait | null): Promise<readonly PublishResult[]>;
  /** Joins a group, which is made at the beginning of each stream where it does not exist. */
  consume(options: ConsumeOptions): Promise<Consumer>;
  inspect(stream: string, group: string): Promise<GroupState>;
  /** The number of entries on a stream; 0 where there is none. */
  length(stream: string): Promise<number>;
  /**
   * Deletes what was added to a stream longer ago, by the broker's clock, whoever has read it or not: for dead letters. At
   * most about `limit` of them; how many. Call it again until it is 0.
   */
  expire(stream: string, olderThanMs: Millis, limit: number): Promise<number>;
  ping(): Promise<void>;
  /** What about the server endangers messages, a sentence each with its mend: for the log at the start. */
  advise(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What a broker tells about itself between calls. */
export type BrokerNotice =
  | { readonly kind: 'group_recreated'; readonly stream: string; readonly group: string }
  | { readonly kind: 'connection_lost' | 'connection_ready'; readonly error: Error | null };
