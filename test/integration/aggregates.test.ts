import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createAggregates } from '../../src/event-store/aggregates.ts';
import type { EventStore } from '../../src/event-store/event-store.ts';
import { createMemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import { createMessageDbEventStore } from '../../src/event-store/message-db-event-store.ts';
import { isSameDatabase, openMessageDb } from '../../src/event-store/message-db-open.ts';
import { createMemoryDatabase, createMemoryUnitsOfWork } from '../../src/handler/memory-unit-of-work.ts';
import { createPostgresqlUnitsOfWork } from '../../src/handler/postgresql-unit-of-work.ts';
import { createMemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { AggregatesUnderTest } from '../conformance/aggregates.conformance.ts';
import { aggregatesConformance } from '../conformance/aggregates.conformance.ts';
import { anOccasion } from '../conformance/units-of-work.conformance.ts';
import { installMessageDb } from '../support/message-db.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

const domain = { name: 'Bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' };

let server: PostgresqlServer;
before(async () => {
  server = await startPostgresql();
});
after(() => server.stop());

const openStore = (uri: string): EventStore =>
  createMessageDbEventStore(openMessageDb({ uri, maxConnections: 4 }, { clock: systemClock, notice: () => undefined }));

/** Handlers on a PostgreSQL with an outbox, and a Message DB: in the same database, or in one of its own. */
async function onPostgresql(shared: boolean): Promise<AggregatesUnderTest> {
  const url = await server.createDatabase();
  const storeUrl = await installMessageDb(server, shared ? url : await server.createDatabase());
  const database = aDatabase(url);
  await setUp(database);
  const store = openStore(storeUrl);
  assert.equal(isSameDatabase(url, storeUrl), shared);
  const aggregates = createAggregates({ domain, snapshotThreshold: 3, shared }, { store, clock: systemClock });
  return {
    unitsOfWork: createPostgresqlUnitsOfWork(database, { outbox: true, aggregates }),
    store,
    async outbox() {
      const rows = await database.bounded(
        (sql) => sql<{ id: string; sequence: string; type: string }[]>`
          select message_id as id, metadata #>> '{domain,sequence_id}' as sequence, type from public.outbox order by outbox.id`,
      );
      return rows.map(({ id, sequence, type }) => ({ id, sequenceId: sequence, name: type.split('.')[1] ?? '' }));
    },
    async close() {
      await store.close();
      await database.close();
    },
  };
}

aggregatesConformance('in the database of the handlers', () => onPostgresql(true));
aggregatesConformance('in another database than the handlers', () => onPostgresql(false));

aggregatesConformance('in memory', async () => {
  const store = createMemoryEventStore({ clock: systemClock });
  const aggregates = createAggregates({ domain, snapshotThreshold: 3, shared: false }, { store, clock: systemClock });
  const outbox = createMemoryOutbox(
    { database: 'default', domain, ordering: 'stream', maxMessageBytes: 1_000_000 },
    { clock: systemClock, random: Math.random, emit: () => undefined, onAdded: () => undefined },
  );
  const shard = outbox.shard(0, 1, null, 'lease');
  return {
    unitsOfWork: createMemoryUnitsOfWork(
      createMemoryDatabase('default', (raised) => void outbox.add(raised)),
      aggregates,
    ),
    store,
    outbox: async () =>
      (await shard.read({ limit: 1_000, inFlight: [] })).map(({ messageId, metadataText }) => {
        const { domain: of, headers } = JSON.parse(metadataText);
        return { id: messageId, sequenceId: of.sequence_id, name: headers.type.split('.')[1] };
      }),
    close: async () => undefined,
  };
});

describe('a transaction of a handler that appends', () => {
  it('leaves the search path of the handler as it was', async () => {
    const { unitsOfWork, close } = await onPostgresql(true);
    const work = unitsOfWork.begin(anOccasion());
    await work.sql`set local search_path to pg_catalog, public`;
    await work.sql`create table public.told (path text)`;
    // At the end of the transaction, after the append.
    await work.sql.unsafe(`
      create function public.tell() returns trigger language plpgsql as $$
      begin insert into public.told select current_setting('search_path'); return null; end $$`);
    await work.sql`create constraint trigger tell after insert on public.inbox initially deferred for each row execute function public.tell()`;
    await work.sql`insert into public.inbox (message_id, handler) values ('other', 'other')`;
    work.append({ stream: 'bookshelf::a-1', expectedVersion: null, events: [anEvent] });
    assert.equal(await work.commit(), 'committed');
    const next = unitsOfWork.begin(anOccasion());
    assert.deepEqual([...(await next.sql`select path from public.told`)], [{ path: 'pg_catalog, public' }]);
    await next.rollback();
    await close();
  });

  it('appends to a store elsewhere once, also where its own commit is tried again', async () => {
    const { unitsOfWork, store, close } = await onPostgresql(false);
    const occasion = anOccasion();
    for (const end of ['lost', 'committed'] as const) {
      const work = unitsOfWork.begin(occasion);
      if (end === 'lost') {
        await work.sql`create table if not exists broken (id int primary key deferrable initially deferred)`;
        await work.sql`insert into broken values (1), (1)`;
      }
      work.append({ stream: 'bookshelf::a-1', expectedVersion: -1, events: [anEvent] });
      if (end === 'lost') await assert.rejects(work.commit());
      else assert.equal(await work.commit(), 'committed');
      assert.equal((await store.readStream('bookshelf::a-1', 0, 9)).length, 1, end);
    }
    await close();
  });
});

const anEvent = {
  kind: 'EVENT',
  name: 'Opened',
  category: 'bookshelf::a',
  id: '1',
  dataText: '{}',
  options: {},
} as const;
