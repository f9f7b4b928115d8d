import type { EventStore } from '../../../src/event-store/event-store.ts';
import type { Positions } from '../../../src/event-store/positions.ts';
import type { UnitOfWork, UnitsOfWork } from '../../../src/handler/unit-of-work.ts';
import type { Outbox, OutboxStore } from '../../../src/outbox/outbox.ts';
import type { Database } from '../../../src/providers.ts';
import type { LeaseStore } from '../../../src/runtime/lease.ts';
import { between, passing } from './passing.ts';

export function struckDatabase(database: Database): Database {
  const { outbox, leases, keeping, unitsOfWork } = database;
  return {
    ...database,
    leases: struckLeases(leases),
    outbox: outbox === null ? null : struckOutboxes(outbox),
    keeping: { ...keeping, leases: struckLeases(keeping.leases), positions: struckPositions(keeping.positions) },
    unitsOfWork: struckUnits(unitsOfWork),
  };
}

/** Of what has one owner: replicas say by leases of their own that they are there. */
const isOwners = (name: string) => /:\d+\/\d+$/.test(name) || (name.startsWith('event_store:') && name.includes('.'));

const struckLeases = (leases: LeaseStore): LeaseStore => ({
  ...leases,
  acquire: (name, owner, ttlMs) => {
    const call = () => leases.acquire(name, owner, ttlMs);
    return isOwners(name) ? between('claim', call, (token) => token !== null) : call();
  },
  renew: (name, owner, token, ttlMs) => {
    const call = () => leases.renew(name, owner, token, ttlMs);
    return isOwners(name) ? between('renewal', call) : call();
  },
});

const struckOutboxes = (store: OutboxStore): OutboxStore => ({
  ...store,
  leases: struckLeases(store.leases),
  shard: (...place) => struckOutbox(store.shard(...place)),
});

const struckOutbox = (outbox: Outbox): Outbox => ({
  async read(request) {
    const rows = await outbox.read(request);
    if (rows.length > 0) await passing('after read of rows');
    return rows;
  },
  published: (ids) => between('mark', () => outbox.published(ids)),
  refused: (refusals, fence) => between('refusal', () => outbox.refused(refusals, fence)),
});

const struckUnits = (units: UnitsOfWork): UnitsOfWork => ({
  ...units,
  begin: (occasion) => struckUnit(units.begin(occasion)),
  beginMany: (occasions) => struckUnit(units.beginMany(occasions)),
});

/** What it is asked for besides comes from the unit itself, its getters included. */
const struckUnit = (unit: UnitOfWork): UnitOfWork =>
  Object.create(unit, { commit: { value: () => between('commit', () => unit.commit()) } }) as UnitOfWork;

const struckPositions = (positions: Positions): Positions => ({
  ...positions,
  claim: (...asked) => between('claim of the position', () => positions.claim(...asked)),
  advance: (...asked) => between('position', () => positions.advance(...asked)),
  start: (...asked) => between('start', () => positions.start(...asked)),
  record: (...asked) => between('receipt', () => positions.record(...asked)),
});

export const struckEventStore = (store: EventStore): EventStore => ({
  ...store,
  async readCategory(...asked) {
    const messages = await store.readCategory(...asked);
    if (messages.length > 0) await passing('after read of events');
    return messages;
  },
  append: (appends) => between('append', () => store.append(appends)),
});
