import { randomUUID } from 'node:crypto';
import type { TransactionSql } from 'postgres';
import type { Database } from '../connection/database.ts';
import { toDatabaseError } from '../connection/errors-of-postgresql.ts';
import { createAggregates } from '../event-store/aggregates.ts';
import { createMessageDbEventStore } from '../event-store/message-db-event-store.ts';
import { isSameDatabase, openMessageDb } from '../event-store/message-db-open.ts';
import { askedAppend, namesIn } from '../handler/appended.ts';
import type { AppendOptions, NewEvent } from '../handler/handler.ts';
import type { AggregateName, AskedAppend, Fold, Loaded, LoadOptions } from '../message/aggregate.ts';
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
  readonly snapshotThreshold: number;
}

/** Opens the event store; connects to nothing yet. Throws MisconfiguredError for a URI that is none. */
export function openEventSourcing(config: EventSourcingConfig, database: Database, catalog: Catalog): EventSourcing {
  const { domain, uri, maxConnections, databaseUri, outbox, snapshotThreshold } = config;
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

  async function write(sql: TransactionSql, one: AskedAppend): Promise<number> {
    if (aggregates.within === null) {
      const why = 'tx.append needs the event store in the database of the transaction: use append beside it';
      throw new MisconfiguredError('event_store_elsewhere', why);
    }
    try {
      const run = (text: string, parameters: string[]) => sql.unsafe(text, parameters);
      const { events, versions } = await aggregates.within(run, [one], randomUUID());
      if (outbox) await sql.unsafe(outboxCall(database.schema), outboxParameters(events));
      return versions[0] ?? -1;
    } catch (error) {
      throw toDatabaseError(error, database.name);
    }
  }

  async function inTransaction(one: AskedAppend): Promise<number> {
    const transaction = database.transaction();
    try {
      const version = await write(transaction.sql, one);
      await transaction.commit();
      return version;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  /** Of an append that has no events: where the stream is. */
  const versionOf = async ({ stream }: AskedAppend) => (await store.lastMessage(stream))?.position ?? -1;

  return {
    async append(aggregate, events, options) {
      const one = asked(aggregate, events, options);
      if (one.events.length === 0) return versionOf(one);
      if (shared) return inTransaction(one);
      const { versions } = await aggregates.append([one], randomUUID());
      return versions[0] ?? -1;
    },
    async appendIn(sql, aggregate, events, options) {
      const one = asked(aggregate, events, options);
      return one.events.length === 0 ? versionOf(one) : write(sql, one);
    },
    async load(aggregate, fold, initial, options = {}) {
      const { category, id } = namesIn(aggregate, 'load');
      const full = { category: categoryOf(domain.normalized, category), id };
      return aggregates.load(full, fold, initial, options, catalog.incoming);
    },
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
  return { append: fail, appendIn: fail, load: fail, close: async () => undefined };
};
