import { randomUUID } from 'node:crypto';
import type { TransactionSql } from 'postgres';
import type { Aggregates, AskedAppend } from '../message/aggregate.ts';
import type { UnavailableError } from '../runtime/errors.ts';
import { ConcurrencyError, DomaindError, MisconfiguredError } from '../runtime/errors.ts';
import type { Collection } from './handler.ts';
import type { Raised } from './raised.ts';

/** The message that a unit of work is for. */
export interface Occasion {
  readonly handler: string;
  readonly messageId: string;
  readonly kind: 'EVENT' | 'COMMAND' | 'EXTERNAL';
  /** The broker's id of the entry: unique within its stream. */
  readonly entryId: string;
  /** Null or left out: a row in the inbox tells. The same for all occasions of one unit of work. */
  readonly receipts?: Receipts | null;
}

/**
 * How it is written down that messages were handled, in the place of rows in the inbox: by a source that keeps its
 * position beside the effects, so that both are committed together.
 */
export interface Receipts {
  /** Which of these messages have yet to be handled. Throws as `UnitOfWork.commit` does. */
  fresh(entryIds: readonly string[]): Promise<readonly boolean[]>;
  /**
   * In the transaction, as the last thing before its commit; null for a database in memory. `duplicate`: one of them was
   * handled before, and nothing is written. Throws UnavailableError when they are another process's to handle by now.
   */
  record(sql: TransactionSql | null, entryIds: readonly string[]): Promise<'recorded' | 'duplicate'>;
}

/**
 * untouched ──first use──▶ open ──commit, rollback──▶ closed
 *     └──────────────────────┴──▶ duplicate, once it is known that the message was handled before
 */
export type UnitOfWorkState = 'untouched' | 'open' | 'duplicate' | 'closed';

/** What became of it: written, skipped because another try had written it, or nothing to write. */
export type Committed = 'committed' | 'duplicate' | 'untouched';

/**
 * What one handler does to its database about one message: all of it or nothing, and once, however often the message
 * comes. Nothing is opened before the first use; the inbox row is the first thing written. After the end, and once it
 * is known that the message was handled before, every method but `rollback` throws or rejects.
 */
export interface UnitOfWork {
  readonly state: UnitOfWorkState;
  readonly sql: TransactionSql;
  store(collection: string): Collection;
  /** Written to the outbox with the commit, in the order of the calls. */
  add(raised: Raised): void;
  /**
   * Appended to the event store with the commit: in the same transaction where the event store is in this database, else
   * right before it, so that a crash in between lets the next try append once only. With an outbox, the events go there too.
   */
  append(asked: AskedAppend): void;
  /**
   * Writes the inbox rows now rather than at the first use: for each occasion, whether it is the first time. Where it is
   * for none, the state is `duplicate`. Throws as `commit` does.
   */
  claim(): Promise<readonly boolean[]>;
  /**
   * Throws UnavailableError when the database is lost; where it is unknown then whether the commit took place, the inbox
   * tells the next try. Throws an error of the handler's making when PostgreSQL refuses what it did.
   */
  commit(): Promise<Committed>;
  /** Undoes everything and cuts short what still runs. Never rejects; may be called at any time and again. */
  rollback(): Promise<void>;
  /**
   * The trouble of the database that `error`, which the handler failed with, comes from or was overtaken by: it was
   * lost, or cannot do domaind's own part. Null where the error is the handler's own.
   */
  outageBehind(error: unknown): UnavailableError | MisconfiguredError | null;
}

/** Opens units of work on one database. Costs nothing until they are used. */
export interface UnitsOfWork {
  /** The database's name in domain.toml. */
  readonly database: string;
  /** The event-sourced aggregates of the domain; null where there is no event store to ask. */
  readonly aggregates: Aggregates | null;
  begin(occasion: Occasion): UnitOfWork;
  /**
   * One for several messages: with `claim`, their inbox rows go first, all at once. With none it is a transaction of the
   * application's own, about which the inbox knows nothing.
   */
  beginMany(occasions: readonly Occasion[]): UnitOfWork;
}

/** Units of work of one handler that leave receipts. Functions beside each other have an account each: the inbox's. */
export const withReceipts = (units: UnitsOfWork, handler: string, receipts: Receipts): UnitsOfWork => {
  const noted = (occasion: Occasion) => (occasion.handler === handler ? { ...occasion, receipts } : occasion);
  return {
    ...units,
    begin: (occasion) => units.begin(noted(occasion)),
    beginMany: (occasions) => units.beginMany(occasions.map(noted)),
  };
};

/** What several messages of one unit of work are met with when another try has handled one of them. */
export const takenMeanwhile = (): ConcurrencyError =>
  new ConcurrencyError('another try has handled one of these messages meanwhile');

/** What is rejected with once it is known that the message was handled before. No failure: the handler is done. */
export class DuplicateError extends DomaindError {
  constructor() {
    super('duplicate', 'this message was handled before: nothing more is to be done');
  }
}

/** What is thrown at a handler that goes on after its end, as after a timeout or without awaiting its last promise. */
export class ClosedError extends DomaindError {
  constructor() {
    super('unit_of_work_closed', 'the unit of work is closed: the handler has returned, failed or run out of time');
  }
}

/** What `append` throws where there is no event store. */
export const noEventStore = (database: string): MisconfiguredError =>
  new MisconfiguredError('no_event_store', `ctx.append and ctx.load need an event store beside database ${database}`);

/** What `add` throws where there is no outbox to write to. */
export const noOutbox = (database: string): MisconfiguredError =>
  new MisconfiguredError(
    'no_outbox',
    `ctx.raise and ctx.process need the outbox of database ${database}: set enable_outbox = true`,
  );

const uuidVersion8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * What a handler appends to an event store elsewhere is known by: the same at every try of the same messages, so that it
 * is appended once. A transaction that is about no message has no second try.
 */
export const appendSeed = (occasions: readonly Occasion[]): string =>
  occasions.length === 0 ? randomUUID() : [...occasions.map(inboxKey), occasions[0]?.handler ?? ''].join('\n');

/**
 * The key of a message in the inbox. Ids of events are unique. Ids of commands are only where this side made them,
 * which the version of the UUID tells: Python producers put an identifier of the domain there, the same for every
 * command about it, so the entry's id is added. A command republished by such a producer is handled twice.
 */
export function inboxKey({ kind, messageId, entryId }: Occasion): string {
  return kind === 'COMMAND' && !uuidVersion8.test(messageId) ? `${messageId}#${entryId}` : messageId;
}

/** For each key in turn, whether it is among `fresh` and no earlier one was the same. */
export function firstOfEach(keys: readonly string[], fresh: ReadonlySet<string>): readonly boolean[] {
  const left = new Set(fresh);
  return keys.map((key) => left.delete(key));
}
