import { randomUUID } from 'node:crypto';
import type { TransactionSql } from 'postgres';
import type { Database } from '../connection/database.ts';
import { toDatabaseError } from '../connection/errors-of-postgresql.ts';
import { createAggregates } from '../event-store/aggregates.ts';
import { createMessageDbEventStore } from '../event-store/message-db-event-store.ts';
import { isSameDatabase, openMessageDb } from '../event-store/message-db-open.ts';
import { askedAppend, namesIn } from '../handler/appended.ts';
import type { AppendOptions, NewEvent } from '../handler/handler.ts';
import type { AggregateName, Appended, AskedAppend, Fold, Loaded, LoadOptions } from '../message/aggregate.ts';
import { raisedAppend } from '../message/aggregate.ts';
import type { Catalog } from '../message/catalog.ts';
import { isObject } from '../message/codec.ts';
import type { NewMessage } from '../message/compose.ts';
import { appendOptions, carriedOptions } from '../message/new-message.ts';
import { outboxCall, outboxParameters } from '../message/outbox-call.ts';
import { categoryOf } from '../message/stream-name.ts';
import { systemClock } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { CarriedOptions } from './messages.ts';

export interface ClientAppendOptions
  extends AppendOptions,
    Pick<CarriedOptions, 'correlationId' | 'causationId' | 'traceparent'> {}

/** Event-sourced aggregates, as an application uses them. */
export interface ClientAggregates {
  /**
   * Appends events to the stream of an aggregate; answers its version then. Throws ConcurrencyError when the stream is not
   * at `expectedVersion`. Where the event store is in the client's database and the domain has an outbox, the events are
   * in the outbox by the same transaction.
   */
  append(aggregate: AggregateName, events: readonly NewEvent[], options?: ClientAppendOptions): Promise<number>;
  /** The state of an aggregate: its events, folded, from its newest snapshot on. */
  load<State>(
    aggregate: AggregateName,
    fold: Fold<State>,
    initial: State,
    options?: LoadOptions,
  ): Promise<Loaded<State>>;
}

export interface EventSourcing extends ClientAggregates {
  /** The append of a transaction that the caller ends. Throws MisconfiguredError where the event store is elsewhere. */
  appendIn(
    sql: TransactionSql,
    aggregate: AggregateName,
    events: readonly NewEvent[],
    options?: ClientAppendOptions,
  ): Promise<number>;
  /**
   * Writes a message that is raised to its stream, in the caller's transaction or in one of its own, and to the outbox
   * where there is one; its message id. Null where subscriptions do not read the event store: then the outbox is enough.
   */
  readonly raise: ((sql: TransactionSql | null, message: NewMessage) => Promise<string>) | null;
  close(): Promise<void>;
}

export interface EventSourcingConfig {
  readonly domain: { readonly normalized: string; readonly camel: string };
  /** Of the event store; hold a password. */
  readonly uri: string;
  readonly maxConnections: number;
  /** Of the client's own database. */
  readonly databaseUri: string;
  readonly outbox: boolean;
  /** Whether some subscription reads the event store. */
  readonly raises: boolean;
  readonly snapshotThreshold: number;
}

/** Opens the event store; connects to nothing yet. Throws MisconfiguredError for a URI that is none. */
export function openEventSourcing(config: EventSourcingConfig, database: Database, catalog: Catalog): EventSourcing {
  const { domain, uri, maxConnections, databaseUri, outbox, raises, snapshotThreshold } = config;
  const clock = systemClock;
  const store = createMessageDbEventStore(openMessageDb({ uri, maxConnections }, { clock, notice: () => undefined }));
  const shared = isSameDatabase(uri, databaseUri);
  const aggregates = createAggregates({ domain, snapshotThreshold, shared }, { store, clock });

  function asked(aggregate: AggregateName, events: readonly NewEvent[], given: unknown): AskedAppend {
    const { expectedVersion, ...carried } = isObject(given)
      ? { expectedVersion: undefined, ...given }
      : { expectedVersion: undefined };
    const lines = Array.isArray(events)
      ? events.map((event: unknown) => (isObject(event) ? { ...event, ...carried } : event))
      : events;
    const carry = (event: NewMessage) => catalog.outgoing(event);
    const known = new Map([...appendOptions, ...[...carriedOptions].filter(([name]) => isCarried(name))]);
    const options = expectedVersion === undefined ? {} : { expectedVersion };
    return askedAppend(aggregate, lines, options, { call: 'append', domain: domain.normalized, carry, known });
  }

  async function write(sql: TransactionSql, one: AskedAppend): Promise<Appended> {
    if (aggregates.within === null) {
      const why = 'a transaction needs the event store in its own database: append, raise and process beside it';
      throw new MisconfiguredError('event_store_elsewhere', why);
    }
    try {
      const run = (text: string, parameters: string[]) => sql.unsafe(text, parameters);
      const made = await aggregates.within(run, [one], randomUUID());
      if (outbox) await sql.unsafe(outboxCall(database.schema), outboxParameters(made.events));
      return made;
    } catch (error) {
      throw toDatabaseError(error, database.name);
    }
  }

  async function inTransaction(one: AskedAppend): Promise<Appended> {
    const transaction = database.transaction();
    try {
      const made = await write(transaction.sql, one);
      await transaction.commit();
      return made;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  async function raise(sql: TransactionSql | null, message: NewMessage): Promise<string> {
    const one = raisedAppend(message);
    if (!shared && sql === null && outbox) {
      const why =
        'raise and process need the event store in the database of the outbox, so that both have the message or none';
      throw new MisconfiguredError('event_store_elsewhere', why);
    }
    const apart = () => (shared ? inTransaction(one) : aggregates.append([one], randomUUID()));
    const { events } = sql === null ? await apart() : await write(sql, one);
    return String(events[0]?.options['message_id']);
  }

  /** Of an append that has no events: where the stream is. */
  const versionOf = async ({ stream }: AskedAppend) => (await store.lastMessage(stream))?.position ?? -1;

  return {
    async append(aggregate, events, options) {
      const one = asked(aggregate, events, options);
      if (one.events.length === 0) return versionOf(one);
      const { versions } = shared ? await inTransaction(one) : await aggregates.append([one], randomUUID());
      return versions[0] ?? -1;
    },
    async appendIn(sql, aggregate, events, options) {
      const one = asked(aggregate, events, options);
      if (one.events.length === 0) return versionOf(one);
      return (await write(sql, one)).versions[0] ?? -1;
    },
    async load(aggregate, fold, initial, options = {}) {
      const { category, id } = namesIn(aggregate, 'load');
      const full = { category: categoryOf(domain.normalized, category), id };
      return aggregates.load(full, fold, initial, options, catalog.incoming);
    },
    raise: raises ? raise : null,
    close: () => store.close(),
  };
}

const isCarried = (name: string): boolean => ['correlationId', 'causationId', 'traceparent'].includes(name);

/** What a client without an event store answers. */
export const noEventSourcing = (where: string): EventSourcing => {
  const fail = async () => {
    throw new MisconfiguredError(
      'no_event_store',
      `${where}: append and load need an event store of provider message_db`,
    );
  };
  return { append: fail, appendIn: fail, load: fail, raise: null, close: async () => undefined };
};
