import type { EventStore } from '../../src/event-store/event-store.ts';
import type { Positions } from '../../src/event-store/positions.ts';
import type { Collection } from '../../src/handler/handler.ts';
import type { UnitOfWork, UnitsOfWork } from '../../src/handler/unit-of-work.ts';
import type { Outbox, OutboxStore } from '../../src/outbox/outbox.ts';
import type { Database } from '../../src/providers.ts';
import type { LeaseStore } from '../../src/runtime/lease.ts';
import type { Observer } from './observer.ts';
import type { Process } from './process.ts';

/** A database as one process reaches it. */
export function wireDatabase(server: Database, process: Process, observer: Observer): Database {
  const { outbox, unitsOfWork } = server;
  const leases = wireLeases(server.leases, process, observer);
  return {
    ...server,
    unitsOfWork: wireUnitsOfWork(unitsOfWork, process),
    outbox: outbox === null ? null : wireOutbox(outbox, leases, process),
    leases,
    keeping: { ...server.keeping, leases, positions: wirePositions(server.keeping.positions, process) },
    // Nobody tells of new rows: they are polled for.
    rest: (_place, ms, signal) => process.clock.sleep(ms, signal),
  };
}

function wireOutbox(server: OutboxStore, leases: LeaseStore, process: Process): OutboxStore {
  const wireShard = (shard: Outbox): Outbox => ({
    read: (request) => process.ask('outbox.read', 'database', () => shard.read(request)),
    published: (ids) => process.ask('outbox.published', 'database', () => shard.published(ids)),
    refused: (refusals, fence) => process.ask('outbox.refused', 'database', () => shard.refused(refusals, fence)),
  });
  return {
    ...server,
    leases,
    shards: () => process.ask('outbox.shards', 'database', () => server.shards()),
    shard: (...asked) => wireShard(server.shard(...asked)),
    purge: (...asked) => process.ask('outbox.purge', 'database', () => server.purge(...asked)),
  };
}

/** Tells the observer of every lease that is given out, when it is. */
function wireLeases(server: LeaseStore, process: Process, { tenures }: Observer): LeaseStore {
  return {
    acquire: (name, owner, ttlMs) =>
      process.ask('lease.acquire', 'database', async () => {
        const token = await server.acquire(name, owner, ttlMs);
        if (token !== null) tenures.held(name, process.name, ttlMs);
        return token;
      }),
    renew: (name, owner, token, ttlMs) =>
      process.ask('lease.renew', 'database', async () => {
        const renewed = await server.renew(name, owner, token, ttlMs);
        if (renewed) tenures.held(name, process.name, ttlMs);
        return renewed;
      }),
    release: (name, owner, token) =>
      process.ask('lease.release', 'database', async () => {
        await server.release(name, owner, token);
        tenures.released(name, process.name);
      }),
    live: (prefix) => process.ask('lease.live', 'database', () => server.live(prefix)),
  };
}

function wireUnitsOfWork(server: UnitsOfWork, process: Process): UnitsOfWork {
  return {
    ...server,
    begin: (occasion) => wireWork(server.begin(occasion), process),
    beginMany: (occasions) => wireWork(server.beginMany(occasions), process),
  };
}

/** One transaction. The server rolls it back when its process is dead, unless its commit is on the way already. */
function wireWork(server: UnitOfWork, process: Process): UnitOfWork {
  let committing = false;
  const undo = () => {
    if (!committing) void server.rollback();
  };
  const forget = process.onDeath(undo);
  const store = (collection: Collection): Collection => ({
    get: (id) => process.ask('work.get', 'database', () => collection.get(id)),
    put: (id, value) => process.ask('work.put', 'database', () => collection.put(id, value)),
    delete: (id) => process.ask('work.put', 'database', () => collection.delete(id)),
    list: () => process.ask('work.get', 'database', () => collection.list()),
  });
  return {
    get state() {
      return server.state;
    },
    get sql() {
      return server.sql;
    },
    store: (collection) => store(server.store(collection)),
    add: (raised) => server.add(raised),
    append: (asked) => server.append(asked),
    claim: () => server.claim(),
    commit: () =>
      process.ask('work.commit', 'database', async () => {
        committing = true;
        forget();
        try {
          return await server.commit();
        } finally {
          // Of one that was refused, nothing stays open.
          await server.rollback();
        }
      }),
    async rollback() {
      forget();
      undo();
    },
    outageBehind: (error) => server.outageBehind(error),
  };
}

function wirePositions(server: Positions, process: Process): Positions {
  return {
    ...server,
    claim: (...asked) => process.ask('positions.claim', 'database', () => server.claim(...asked)),
    advance: (...asked) => process.ask('positions.advance', 'database', () => server.advance(...asked)),
    start: (...asked) => process.ask('positions.start', 'database', () => server.start(...asked)),
    release: (...asked) => process.ask('positions.release', 'database', () => server.release(...asked)),
    // `record` is a part of the commit, which is asked for as a whole.
  };
}

/** The event store as one process reaches it. */
export function wireEventStore(server: EventStore, process: Process): EventStore {
  return {
    ...server,
    append: (appends) => process.ask('store.append', 'database', () => server.append(appends)),
    readStream: (...asked) => process.ask('store.readStream', 'database', () => server.readStream(...asked)),
    readCategory: (...asked) => process.ask('store.readCategory', 'database', () => server.readCategory(...asked)),
    lastMessage: (...asked) => process.ask('store.lastMessage', 'database', () => server.lastMessage(...asked)),
    horizon: (category) => process.ask('store.horizon', 'database', () => server.horizon(category)),
    running: (writers) => process.ask('store.running', 'database', () => server.running(writers)),
  };
}
