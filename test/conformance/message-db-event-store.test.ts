import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EventStore } from '../../src/event-store/event-store.ts';
import { everything } from '../../src/event-store/event-store.ts';
import { createMessageDbEventStore } from '../../src/event-store/message-db-event-store.ts';
import { openMessageDb } from '../../src/event-store/message-db-open.ts';
import type { Append } from '../../src/message/append.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createMessageDb } from '../support/message-db.ts';
import { aDatabase } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { anAppend, eventStoreConformance } from './event-store.conformance.ts';

let server: PostgresqlServer;
before(async () => {
  server = await startPostgresql();
});
after(() => server.stop());

const open = (uri: string, maxConnections = 8): EventStore =>
  createMessageDbEventStore(openMessageDb({ uri, maxConnections }, { clock: systemClock, notice: () => undefined }));

/** Rows put into the table by hand: in a transaction that holds no lock of a category. */
async function insertInto(uri: string, appends: readonly Append[]) {
  const database = aDatabase(uri);
  const transaction = database.transaction();
  for (const { stream, messages } of appends) {
    for (const { id, type, dataText, metadataText } of messages) {
      await transaction.sql`
        insert into message_store.messages (stream_name, position, type, data, metadata, id)
        values (${stream}, 0, ${type}, ${dataText}::text::jsonb, ${metadataText}::text::jsonb, ${id})`;
    }
  }
  return {
    async commit() {
      await transaction.commit();
      await database.close();
    },
    async rollback() {
      await transaction.rollback();
      await database.close();
    },
  };
}

eventStoreConformance('Message DB', async () => {
  const uri = await createMessageDb(server);
  const store = open(uri);
  return { store, begin: (appends) => insertInto(uri, appends), close: () => store.close() };
});

describe('a Message DB', () => {
  it('lets the messages of a category commit in their order, so that nobody waits', async () => {
    const uri = await createMessageDb(server);
    const store = open(uri);
    const database = aDatabase(uri);
    const transaction = database.transaction();
    await transaction.sql`set local search_path to message_store, public`;
    await transaction.sql`select write_message(gen_random_uuid()::varchar, 'slow-1', 'Slow', '{}')`;
    assert.deepEqual((await store.horizon('slow')).writers, []);
    const { writers } = await store.horizon(everything);
    assert.equal(writers.length, 1);
    assert.equal(writers[0]?.user, 'message_store');
    assert.equal(writers[0]?.application, 'domaind');
    assert.ok(Number.isInteger(writers[0]?.pid) && Number(writers[0]?.ageMs) >= 0, JSON.stringify(writers));
    await transaction.commit();
    await database.close();
    await store.close();
  });

  it('lets appends to several categories, in any order, go past each other', async () => {
    const store = open(await createMessageDb(server));
    const [one, other] = ['one-1', 'other-1'];
    const turns = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? [one, other] : [other, one]));
    await Promise.all(turns.map((streams) => store.append(streams.map((stream) => anAppend(stream)))));
    assert.equal((await store.lastMessage(one))?.position, 39);
    assert.equal((await store.lastMessage(other))?.position, 39);
    await store.close();
  });

  it('works over one connection, as a superuser, and on a path of its own', async () => {
    const uri = new URL(await createMessageDb(server));
    uri.username = 'postgres';
    for (const path of ['', '?search_path=message_store']) {
      const store = open(`${uri.href}${path}`, 1);
      await store.check();
      await store.append([anAppend('order-1')]);
      await store.close();
    }
  });

  it('says what is missing, and how it is mended', async () => {
    const plain = await server.createDatabase();
    const none = open(plain);
    await assert.rejects(none.check(), {
      code: 'event_store_schema',
      message: /no schema message_store: install Message DB/,
    });
    await assert.rejects(none.readCategory('order', 1n, 1), { code: 'event_store_schema' });
    await none.close();

    const uri = new URL(await createMessageDb(server));
    await server.psql(server.url, "create role stranger login password 'x'");
    uri.username = 'stranger';
    uri.password = 'x';
    const stranger = open(uri.href);
    await assert.rejects(stranger.check(), { code: 'event_store_schema', message: /grant message_store to stranger/ });
    await stranger.close();
    await server.psql(server.url, 'grant message_store to stranger');
    const friend = open(uri.href);
    await friend.check();
    await friend.append([anAppend('order-1')]);
    await friend.close();
  });

  it('is unavailable, and not empty, when it is away', async () => {
    const uri = new URL(await createMessageDb(server));
    uri.port = '1';
    const away = open(uri.href);
    for (const call of [away.ping(), away.check(), away.readCategory('a', 1n, 1), away.append([anAppend('a-1')])]) {
      await assert.rejects(call, { name: 'UnavailableError', message: /^database "event store" cannot be reached/ });
    }
    await away.close();
  });
});
