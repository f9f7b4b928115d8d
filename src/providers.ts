import type { Broker } from './broker/broker.ts';
import type { Config, DatabaseConfig } from './config/config.ts';
import { readsEventStore } from './config/reads-event-store.ts';
import type { PostgresqlConfig } from './connection/postgresql.ts';
import { openDatabase } from './connection/postgresql.ts';
import { createAggregates } from './event-store/aggregates.ts';
import type { OpenedEventStore } from './event-store/event-store.ts';
import { createMemoryPositions } from './event-store/memory-positions.ts';
import { createPostgresqlPositions } from './event-store/postgresql-positions.ts';
import type { Idempotency } from './handler/idempotency.ts';
import type { Inbox } from './handler/inbox.ts';
import { createMemoryIdempotency } from './handler/memory-idempotency.ts';
import { createMemoryDatabase, createMemoryUnitsOfWork } from './handler/memory-unit-of-work.ts';
import { createPostgresqlIdempotency } from './handler/postgresql-idempotency.ts';
import { createPostgresqlInbox } from './handler/postgresql-inbox.ts';
import { createPostgresqlUnitsOfWork } from './handler/postgresql-unit-of-work.ts';
import type { Raised } from './handler/raised.ts';
import { openRedisKeys, redisKeysName } from './handler/redis-idempotency.ts';
import type { UnitsOfWork } from './handler/unit-of-work.ts';
import type { Aggregates } from './message/aggregate.ts';
import { createHint } from './outbox/hint.ts';
import { createMemoryLeases } from './outbox/memory-lease.ts';
import { createMemoryOutbox } from './outbox/memory-outbox.ts';
import type { OutboxStore } from './outbox/outbox.ts';
import { createPostgresqlHints } from './outbox/postgresql-hint.ts';
import { createPostgresqlLeases } from './outbox/postgresql-lease.ts';
import { createPostgresqlOutbox } from './outbox/postgresql-outbox.ts';
import { writeMessages } from './outbox/postgresql-writing.ts';
import { checkDatabase, requireSound } from './outbox/schema/check.ts';
import { linkOf, notifier } from './providers/notifier.ts';
import { openBroker } from './providers/open-broker.ts';
import { openEventStore } from './providers/open-event-store.ts';
import type { Clock, Millis, Random } from './runtime/clock.ts';
import { MisconfiguredError } from './runtime/errors.ts';
import type { LeaseStore } from './runtime/lease.ts';
import type { LoopOptionsFor } from './runtime/loop.ts';
import type { Service } from './runtime/service.ts';
import type { Wake } from './runtime/wake.ts';
import { createWake } from './runtime/wake.ts';
import type { Emit } from './telemetry/event.ts';
import type { EventStoreKeeping } from './worker/event-store-keeping.ts';
import type { MemoryObserver } from './worker/memory-observer.ts';
import { writing } from './worker/writing.ts';

/** A database of domain.toml, opened: what its provider makes of it for each station. */
export interface Database {
  readonly name: string;
  readonly unitsOfWork: UnitsOfWork;
  /** Null where `enable_outbox` is false. */
  readonly outbox: OutboxStore | null;
  /** Of what has one owner in the cluster: shards of the outbox, subscriptions to the event store. */
  readonly leases: LeaseStore;
  readonly keeping: EventStoreKeeping;
  /** Null where it is kept short by itself. */
  readonly inbox: Inbox | null;
  /** Of commands that are carried out once for each key. */
  readonly keys: Idempotency;
  /** Writes messages into the outbox in a transaction of their own; their ids, in order. */
  write(raised: readonly Raised[]): Promise<readonly string[]>;
  /** What a relay does between polls: cut short where there are new rows at its place (see hintPlace). */
  rest(place: number, ms: Millis, signal: AbortSignal): Promise<void>;
  /** What cuts the rests short, to be run beside the relay; null where nothing needs to run. */
  readonly hint: Service | null;
  /** Whether it has what the daemon needs. Throws MisconfiguredError with the mend. */
  check(): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface Providers {
  readonly databases: ReadonlyMap<string, Database>;
  readonly brokers: ReadonlyMap<string, Broker>;
  readonly eventStore: OpenedEventStore;
  /** In the Redis of `[idempotency] redis_url`; null: the database of each handler keeps its own. */
  readonly redisKeys: Idempotency | null;
  /** Throws MisconfiguredError for a name that domain.toml does not have. */
  database(name: string): Database;
  broker(name: string): Broker;
  close(): Promise<void>;
}

export interface ProvidersDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly loopOptions: LoopOptionsFor;
  /** For tests. */
  readonly observer?: MemoryObserver;
}

/** Opens every database and broker of a configuration: the one place that knows all adapters. Connects to nothing yet. */
export function openProviders(config: Config, deps: ProvidersDeps): Providers {
  const eventStore = openEventStore(config, deps);
  const raises = readsEventStore(config.server.subscriptions);
  const { store, sharedWith } = eventStore;
  const { domain, snapshotThreshold } = config;
  // Where there is an outbox, they are shown there.
  const onRaised = config.outbox === null ? deps.observer?.added : undefined;
  const aggregatesOf = (name: string) =>
    createAggregates(
      { domain, snapshotThreshold, shared: sharedWith.has(name), raises },
      { store, clock: deps.clock, onRaised },
    );
  const databases = new Map(
    [...config.databases].map(([name, each]) => [name, openOne(each, config, deps, aggregatesOf(name))]),
  );
  const brokers = new Map([...config.brokers].map(([name, each]) => [name, openBroker(each, deps)]));
  const redisKeys = openRedisKeys(config, { ...deps, ...linkOf(redisKeysName, deps.emit) });
  const named = <T>(all: ReadonlyMap<string, T>, table: string, name: string): T => {
    const found = all.get(name);
    if (found !== undefined) return found;
    const known = [...all.keys()].join(', ') || 'none';
    throw new MisconfiguredError('unknown_name', `there is no [${table}.${name}]; defined: ${known}`);
  };
  return {
    databases,
    brokers,
    eventStore,
    redisKeys,
    database: (name) => named(databases, 'databases', name),
    broker: (name) => named(brokers, 'brokers', name),
    async close() {
      redisKeys?.close();
      await Promise.all([...databases.values(), ...brokers.values(), eventStore.store].map((each) => each.close()));
    },
  };
}

function openOne(config: DatabaseConfig, domain: Config, deps: ProvidersDeps, aggregates: Aggregates): Database {
  switch (config.provider) {
    case 'memory':
      return openMemory(config.name, domain, deps, aggregates);
    case 'postgresql':
      return openPostgresql(config, domain, deps, aggregates);
  }
}

function openMemory(
  name: string,
  { domain, outbox: settings, idempotency }: Config,
  deps: ProvidersDeps,
  aggregates: Aggregates,
): Database {
  const { clock, random, emit, observer } = deps;
  const wakes = new Map<number, Wake>();
  const wakeOf = (place: number): Wake => {
    const wake = wakes.get(place) ?? createWake(clock);
    wakes.set(place, wake);
    return wake;
  };
  const outbox = createMemoryOutbox(
    {
      database: name,
      domain,
      ordering: settings?.ordering ?? 'stream',
      maxMessageBytes: settings?.maxMessageBytes ?? Number.POSITIVE_INFINITY,
      externalBrokers: settings?.externalBrokers ?? [],
    },
    {
      clock,
      random,
      emit,
      onAdded(messages) {
        for (const wake of wakes.values()) wake.notify();
        observer?.added(messages);
      },
    },
  );
  const database = createMemoryDatabase(name, settings === null ? null : (raised) => void outbox.add(raised));
  observer?.opened(database);
  return {
    name,
    unitsOfWork: createMemoryUnitsOfWork(database, aggregates),
    outbox: settings === null ? null : outbox,
    leases: outbox.leases,
    keeping: { leases: outbox.leases, positions: createMemoryPositions(), together: true },
    inbox: null,
    keys: createMemoryIdempotency(idempotency, { clock }),
    write: writing(aggregates, settings === null && aggregates.raises ? null : async (raised) => outbox.add(raised)),
    rest: (place, ms, signal) => wakeOf(place).rest(ms, signal),
    hint: null,
    check: async () => undefined,
    ping: async () => undefined,
    close: async () => undefined,
  };
}

function openPostgresql(
  config: PostgresqlConfig,
  { outbox: settings, idempotency, eventStore, domain: { normalized, camel } }: Config,
  deps: ProvidersDeps,
  aggregates: Aggregates,
): Database {
  const { clock, emit, loopOptions } = deps;
  const { name } = config;
  const database = openDatabase(config, { clock, notice: notifier(`database "${name}"`, emit) });
  const hint =
    settings?.hint === true
      ? createHint({
          database: name,
          open: createPostgresqlHints(config, {
            clock,
            say: (statement) => database.bounded((sql) => sql.unsafe(statement)),
          }),
          clock,
          emit,
          loop: loopOptions(`hint:${name}`),
        })
      : null;
  const leases = createPostgresqlLeases(database);
  return {
    name,
    unitsOfWork: createPostgresqlUnitsOfWork(database, { outbox: settings !== null, aggregates }),
    outbox: settings === null ? null : createPostgresqlOutbox(settings, { database, emit }),
    leases,
    keeping: keepingOf(eventStore.provider, { leases, positions: createPostgresqlPositions(database) }, clock),
    inbox: createPostgresqlInbox(database),
    keys: createPostgresqlIdempotency(idempotency, database),
    write: writing(
      aggregates,
      settings !== null || !aggregates.raises
        ? (raised) => database.bounded((sql) => writeMessages(sql, database.schema, raised))
        : null,
    ),
    rest: hint?.rest ?? ((_place, ms, signal) => clock.sleep(ms, signal)),
    hint,
    async check() {
      requireSound(
        name,
        await checkDatabase(database, { normalized, camel, externalBrokers: settings?.externalBrokers ?? [] }),
      );
    },
    async ping() {
      await database.bounded((sql) => sql`select 1`);
    },
    close: () => database.close(),
  };
}

/** What is known of an event store in this process is kept in it: both begin anew with it, and have no other owner. */
const keepingOf = (
  store: Config['eventStore']['provider'],
  beside: Omit<EventStoreKeeping, 'together'>,
  clock: Clock,
): EventStoreKeeping =>
  store === 'memory'
    ? { leases: createMemoryLeases(clock), positions: createMemoryPositions(), together: false }
    : { ...beside, together: true };
