import { cwd, env } from 'node:process';
import type { TransactionSql } from 'postgres';
import { loadConfig } from '../config/load-config.ts';
import { readsEventStore } from '../config/reads-event-store.ts';
import type { Database } from '../connection/database.ts';
import { toDatabaseError } from '../connection/errors-of-postgresql.ts';
import type { PostgresqlConfig } from '../connection/postgresql.ts';
import { openDatabase } from '../connection/postgresql.ts';
import type { MessageName, Payloads } from '../handler/handler.ts';
import type { Catalog } from '../message/catalog.ts';
import { openCatalog } from '../message/catalog.ts';
import type { NewMessage } from '../message/compose.ts';
import { outboxCall, outboxParameters } from '../message/outbox-call.ts';
import { camelDomain, normalizeDomain } from '../message/stream-name.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import { loadCatalog } from '../schema/load-catalog.ts';
import type { ClientAggregates, EventSourcing, EventSourcingConfig } from './event-sourcing.ts';
import { noEventSourcing, openEventSourcing } from './event-sourcing.ts';
import type { InProcessClient, InProcessClientConfig } from './in-process-client.ts';
import { connectInProcess } from './in-process-client.ts';
import type { ClientProcessOptions, ClientRaiseOptions } from './messages.ts';
import { commandOf, eventOf } from './messages.ts';
import { idIn } from './write.ts';

/** Where the outbox is: as a domain.toml says, or by its URI. */
export type ClientConfig =
  | {
      /** The path of domain.toml; default: DOMAIND_CONFIG, else searched for as the daemon does. */
      readonly config?: string;
      /** A name under `[databases]`; default `default`. */
      readonly database?: string;
      /** The overlay; default: DOMAIND_ENV. */
      readonly env?: string;
      readonly databaseUri?: never;
    }
  | {
      readonly databaseUri: string;
      /** Where the tables of domaind are; default `public`. */
      readonly schema?: string;
      /** Connections at most; default 10. */
      readonly poolSize?: number;
      /** A folder of JSON Schemas that messages are checked by; default: they are not checked. */
      readonly schemas?: string;
      /** Where event-sourced aggregates are: a Message DB, and the domain's name. Default: nowhere. */
      readonly eventStore?: EventStorePlace;
    };

export interface EventStorePlace {
  readonly databaseUri: string;
  /** As in domain.toml. */
  readonly domain: string;
  /** Connections at most; default 5. */
  readonly maxConnections?: number;
  /** Events after which loading takes a snapshot; default 10. */
  readonly snapshotThreshold?: number;
  /** Whether what is appended goes to the outbox too; default true. */
  readonly outbox?: boolean;
}

export interface ClientTransaction {
  /** The driver `postgres`, in this transaction: `` await tx.sql`insert …` ``. */
  readonly sql: TransactionSql;
  /** An event, written to the outbox in this transaction; its message id. */
  raise<Name extends MessageName>(name: Name, options: ClientRaiseOptions<Payloads[Name]>): Promise<string>;
  /** A command, written to the outbox in this transaction; its message id. */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ClientProcessOptions): Promise<string>;
  /** Events of an event-sourced aggregate, in this transaction; its version then. */
  readonly append: ClientAggregates['append'];
}

/** An application's way to the outbox and to the event store. Errors are those of domaind where the database is away or not set up. */
export interface Client extends ClientAggregates {
  /** A command in a transaction of its own; its message id. */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ClientProcessOptions): Promise<string>;
  /** An event in a transaction of its own; its message id. */
  raise<Name extends MessageName>(name: Name, options: ClientRaiseOptions<Payloads[Name]>): Promise<string>;
  /**
   * Runs `work` in a transaction: committed when it returns, rolled back when it throws, and then its error is thrown on.
   * An UnavailableError of code `commit_unknown` says that the commit may have taken place or not.
   */
  transaction<T>(work: (tx: ClientTransaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/**
 * Opens a pool of connections; none is made before it is needed. With `handlers`, messages are handled here where domain.toml
 * says `sync`. Throws ConfigError or MisconfiguredError.
 */
export async function connect(config: InProcessClientConfig): Promise<InProcessClient>;
export async function connect(config?: ClientConfig): Promise<Client>;
export async function connect(config: ClientConfig | InProcessClientConfig = {}): Promise<Client | InProcessClient> {
  return 'handlers' in config ? connectInProcess(config) : connectToOutbox(config);
}

async function connectToOutbox(config: ClientConfig): Promise<Client> {
  const { postgresql, catalog, eventStore } = await settingsIn(config);
  const database = openDatabase(postgresql, { notice: () => undefined });
  const sourcing =
    eventStore === null
      ? noEventSourcing('there is none here')
      : openEventSourcing({ ...eventStore, databaseUri: postgresql.uri }, database, catalog);

  async function write(asked: NewMessage): Promise<string> {
    const message = catalog.outgoing(asked);
    if (sourcing.raise !== null) return sourcing.raise(null, message);
    try {
      const parameters = outboxParameters([message]);
      return idIn(await database.bounded((sql) => sql.unsafe(outboxCall(database.schema), parameters)));
    } catch (error) {
      throw refusalIn(error);
    }
  }

  return {
    process: async (name, data, options) => write(commandOf(name, data, options)),
    raise: async (name, options) => write(eventOf(name, options)),
    transaction: (work) => within(database, catalog, sourcing, work),
    append: sourcing.append,
    load: sourcing.load,
    async close() {
      await Promise.all([database.close(), sourcing.close()]);
    },
  };
}

async function within<T>(
  database: Database,
  catalog: Catalog,
  sourcing: EventSourcing,
  work: (tx: ClientTransaction) => Promise<T>,
): Promise<T> {
  const transaction = database.transaction();
  const { sql } = transaction;
  const write = async (asked: NewMessage) => {
    const message = catalog.outgoing(asked);
    if (sourcing.raise !== null) return sourcing.raise(sql, message);
    try {
      return idIn(await sql.unsafe(outboxCall(database.schema), outboxParameters([message])));
    } catch (error) {
      throw refusalIn(toDatabaseError(error, database.name));
    }
  };
  try {
    const result = await work({
      sql,
      raise: async (name, options) => write(eventOf(name, options)),
      process: async (name, data, options) => write(commandOf(name, data, options)),
      append: (aggregate, events, options) => sourcing.appendIn(sql, aggregate, events, options),
    });
    await transaction.commit();
    return result;
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

/** What the SQL functions say about their arguments is said to be read, and holds none of their values. */
function refusalIn(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : null;
  const ours = cause instanceof Error && 'code' in cause && cause.code === '22023' && /^outbox_/.test(cause.message);
  return ours ? new TypeError(cause.message, { cause: error }) : error;
}

interface Settings {
  readonly postgresql: PostgresqlConfig;
  readonly catalog: Catalog;
  readonly eventStore: Omit<EventSourcingConfig, 'databaseUri'> | null;
}

async function settingsIn(config: ClientConfig): Promise<Settings> {
  if (config.databaseUri !== undefined) {
    const { databaseUri: uri, schema = 'public', poolSize = 10, schemas = null } = config;
    const limits = { poolSize, maxOverflow: 0, connectTimeoutMs: 5_000, statementTimeoutMs: 30_000 };
    const postgresql = { provider: 'postgresql', name: 'default', uri, directUri: null, schema, ...limits } as const;
    const catalog = schemas === null ? openCatalog : await loadCatalog({ path: schemas, unknownFields: 'keep' });
    return { postgresql, catalog, eventStore: placeOf(config.eventStore) };
  }
  const { config: path = null, database: name = 'default', env: overlay = null } = config;
  const loaded = await loadConfig({ path, env: overlay, cwd: cwd(), environment: env });
  const found = loaded.config.databases.get(name);
  if (found?.provider === 'postgresql') {
    const { eventStore: store, domain, outbox, snapshotThreshold, schemas, server } = loaded.config;
    const raises = readsEventStore(server.subscriptions);
    const eventStore =
      store.provider === 'memory' ? null : { ...store, domain, outbox: outbox !== null, raises, snapshotThreshold };
    return { postgresql: found, catalog: await loadCatalog(schemas), eventStore };
  }
  const fault = found === undefined ? 'is not in' : 'is of provider memory in';
  throw new MisconfiguredError('no_database', `[databases.${name}] ${fault} ${loaded.config.file}`);
}

function placeOf(place: EventStorePlace | undefined): Settings['eventStore'] {
  if (place === undefined) return null;
  const { databaseUri: uri, domain, maxConnections = 5, snapshotThreshold = 10, outbox = true } = place;
  const normalized = normalizeDomain(domain);
  return {
    uri,
    domain: { normalized, camel: camelDomain(normalized) },
    maxConnections,
    snapshotThreshold,
    outbox,
    raises: false,
  };
}
