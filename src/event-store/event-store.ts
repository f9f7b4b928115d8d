import type { Append } from '../message/append.ts';

export type { Append, AppendedMessage } from '../message/append.ts';

/** Instead of a category: everything in the store. */
export const everything = '$all';

/**
 * A message as the store has it. The texts are JSON, passed on verbatim; the store may have written their keys in another
 * order than the producer. `event-store/stored-message.ts` makes of it the body that handlers are called with.
 */
export interface StoredMessage {
  /** The store's own id, a UUID. The message's id, which is what handlers see, is `metadata.headers.id`. */
  readonly id: string;
  /** The stream of one aggregate; also `<category>:command-…`, `<category>:snapshot-…`, `position-…` and `failed-…`. */
  readonly stream: string;
  readonly type: string;
  /** Its place in its stream, from 0, without a gap: the version of the stream when it was its last message. */
  readonly position: number;
  /** Its place in the store, from 1, unique and growing, with gaps where an append was rolled back. */
  readonly globalPosition: bigint;
  readonly dataText: string;
  /** Null for what is no message of the domain: snapshots, and what other programs wrote. */
  readonly metadataText: string | null;
  /** When its transaction began, by the store's clock: ISO-8601 with `+00:00`. Not in the order of positions. */
  readonly time: string;
}

export interface ReadFilter {
  /** `metadata.domain.correlation_id`. */
  readonly correlationId: string | null;
  /** `metadata.domain.origin_stream`. */
  readonly originStream: string | null;
  /** The whole type, `Bookshelf.OrderPlaced.v1`. */
  readonly type: string | null;
}

/** A transaction that has written to the store, or is about to, and is not yet over. */
export interface Writer {
  /** Tells it from every other transaction of the server since it started, also of the same backend. */
  readonly id: string;
  /** The backend's process id; null where there is none: a prepared transaction. */
  readonly pid: number | null;
  /** `application_name` and user of the session, for people to find it by; null where not to be seen. */
  readonly application: string | null;
  readonly user: string | null;
  /** Since the transaction began; null where our role may not see it. */
  readonly ageMs: number | null;
}

/**
 * Up to where the store is settled once `writers` are over.
 *
 * A position is drawn when a message is written and seen when its transaction commits, so a message may appear below one
 * that was read already. `head` is the last position that can be seen, and it was read before `writers`: whoever can
 * still commit a message at or below `head` is among them, or was over before. Hence
 *
 * 1. with no writers, a read that begins after this answer sees every message up to `head` there will ever be;
 * 2. with writers, that is so for a read that begins after an answer to `running` in which none of them is left.
 *
 * The reader's protocol: read a batch; when its last position is beyond what is known to be settled, ask for the horizon,
 * wait for its writers, read the batch again, and handle it up to `head`. What still is missing then was rolled back.
 * Who waits too long may give up and go on at the price of missing what those writers commit: a thing to be counted.
 */
export interface Horizon {
  readonly head: bigint;
  readonly writers: readonly Writer[];
}

/** What lies beyond a position. */
export interface Behind {
  readonly count: number;
  readonly oldestMs: number | null;
}

/**
 * The log that can be read again. Every method throws UnavailableError when the store cannot be reached or does not answer
 * in time, and MisconfiguredError when it is not what it should be; then nothing is known, least of all that nothing is there.
 */
export interface EventStore {
  readonly provider: 'memory' | 'message_db';
  /**
   * Appends in a transaction of its own: all or nothing, in the order given. Answers the position of the last message of
   * each. Throws ConcurrencyError when a stream is not at its expected version. After UnavailableError the append may have
   * taken place; it may be tried again with the same ids: messages that are there already are not appended again, and their
   * positions are answered.
   *
   * Appends to one category wait for each other, so that its messages commit in the order of their positions.
   */
  append(appends: readonly Append[]): Promise<readonly number[]>;
  /** Messages of one stream from `position` on, in order, at most `limit`. */
  readStream(stream: string, position: number, limit: number): Promise<readonly StoredMessage[]>;
  /**
   * Messages of a category, or `everything`, from the global position on (inclusive), in order, at most `limit`. With a
   * filter the store is searched, without an index: not for polling, where the reader filters and moves on.
   */
  readCategory(category: string, from: bigint, limit: number, filter?: ReadFilter): Promise<readonly StoredMessage[]>;
  /**
   * The same as one text: a JSON array of `{"stream", "position", "at", "data", "metadata"}`, with the global position, as
   * text, in `at`. For reading much at once, at half the cost a message.
   */
  readJson(category: string, from: bigint, limit: number): Promise<string>;
  /** The same backwards: the newest first, below `before` (exclusive; null: from the end). */
  readBackwards(category: string, before: bigint | null, limit: number): Promise<readonly StoredMessage[]>;
  /** The last message of a stream, of that type where one is named; null: there is none. */
  lastMessage(stream: string, type?: string): Promise<StoredMessage | null>;
  /** The last position that can be seen, 0 when the store is empty; of a category, or of `everything`. */
  head(category: string): Promise<bigint>;
  /**
   * How many messages there are beyond a position, and since when the oldest of them is there, by the store's clock; null
   * where there is none. What subscriptions write about themselves is not counted, nor more than `limit`.
   */
  behind(category: string, position: bigint, limit: number): Promise<Behind>;
  /**
   * For `everything`: all who write. For a category only those who go past the store's own functions, and so do not wait
   * for each other: with none of those, its messages commit in order and there is nothing to wait for.
   */
  horizon(category: string): Promise<Horizon>;
  /** Those of `writers` that are not over yet. */
  running(writers: readonly Writer[]): Promise<readonly Writer[]>;
  ping(): Promise<void>;
  /** Whether it has what the daemon needs: schema, functions, rights. Throws MisconfiguredError with the mend. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** The event store of domain.toml, opened. */
export interface OpenedEventStore {
  readonly store: EventStore;
  /**
   * The names under `[databases]` of the very database that the event store is in. A transaction there may append as well,
   * and a position be written with the handler's effects.
   */
  readonly sharedWith: ReadonlySet<string>;
}
