import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Client } from '../../src/client/index.ts';
import { connect } from '../../src/client/index.ts';
import type { Database } from '../../src/connection/database.ts';
import { withFolder } from '../support/config-folder.ts';
import { createMessageDb, installMessageDb } from '../support/message-db.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

const paid = (amount: number) => ({ type: 'Paid', data: { amount } });
const sum = {
  Paid: (state: { sum: number }, { data }: { data: { amount: number } }) => ({ sum: state.sum + data.amount }),
};

describe('a client of event-sourced aggregates', () => {
  let server: PostgresqlServer;
  let url: string;
  let storeUrl: string;
  let database: Database;
  let client: Client;
  before(async () => {
    server = await startPostgresql();
    url = await server.createDatabase();
    storeUrl = await installMessageDb(server, url);
    database = aDatabase(url);
    await setUp(database);
    client = await connect({
      databaseUri: url,
      eventStore: { databaseUri: storeUrl, domain: 'Bookshelf', snapshotThreshold: 2 },
    });
  });
  after(async () => {
    await client.close();
    await database.close();
    await server.stop();
  });

  const stored = (id: string) =>
    server.psql(
      url,
      `select string_agg(type, ',' order by position) from message_store.messages where stream_name = 'bookshelf::account-${id}'`,
    );
  const published = (id: string) =>
    server.psql(
      url,
      `select string_agg(message_id, ',' order by id) from outbox where stream_name = 'bookshelf::account-${id}'`,
    );

  it('appends, and answers the version', async () => {
    const at = { category: 'account', id: 'one' };
    assert.equal(await client.append(at, [paid(1), paid(2)], { expectedVersion: -1, correlationId: 'c-1' }), 1);
    assert.equal(await client.append({ ...at, category: 'bookshelf::account' }, [paid(3)]), 2);
    assert.equal(await client.append(at, []), 2);
    assert.equal(await stored('one'), 'Bookshelf.Paid.v1,Bookshelf.Paid.v1,Bookshelf.Paid.v1');
    const correlation = await server.psql(
      url,
      `select metadata #>> '{domain,correlation_id}' from message_store.messages
      where stream_name = 'bookshelf::account-one' order by position limit 1`,
    );
    assert.equal(correlation, 'c-1');
  });

  it('writes event and outbox row in one transaction, by one id', async () => {
    await client.append({ category: 'account', id: 'both' }, [paid(1), paid(2)]);
    assert.equal(await published('both'), 'bookshelf::account-both-0,bookshelf::account-both-1');
    const transactions = await server.psql(
      url,
      `select count(distinct xmin::text) from (
      select xmin from message_store.messages where stream_name = 'bookshelf::account-both'
      union all select xmin from outbox where stream_name = 'bookshelf::account-both') rows`,
    );
    assert.equal(transactions, '1');
  });

  it('refuses to append at another version, and writes nothing then', async () => {
    const at = { category: 'account', id: 'conflict' };
    await client.append(at, [paid(1)]);
    await assert.rejects(client.append(at, [paid(2)], { expectedVersion: -1 }), { name: 'ConcurrencyError' });
    assert.equal(await published('conflict'), 'bookshelf::account-conflict-0');
  });

  it('lets one of many through that load, decide and append', async () => {
    const at = { category: 'account', id: 'race' };
    const ends = await Promise.allSettled(
      Array.from({ length: 8 }, async () => {
        const { version } = await client.load(at, sum, { sum: 0 });
        return client.append(at, [paid(1)], { expectedVersion: version });
      }),
    );
    const { state, version } = await client.load(at, sum, { sum: 0 });
    assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, version + 1);
    assert.equal(state.sum, version + 1);
    for (const end of ends) if (end.status === 'rejected') assert.equal(end.reason.name, 'ConcurrencyError');
  });

  it('appends in a transaction of the application, with all else or not at all', async () => {
    const at = { category: 'account', id: 'with' };
    await server.psql(url, 'create table ledger (id text primary key)');
    await client.transaction(async (tx) => {
      assert.equal(await tx.append(at, [paid(1)]), 0);
      assert.equal(await tx.append(at, [paid(2)], { expectedVersion: 0 }), 1);
      await tx.sql`insert into ledger (id) values ('with')`;
    });
    const failing = client.transaction(async (tx) => {
      await tx.append(at, [paid(3)]);
      throw new Error('no');
    });
    await assert.rejects(failing, /no/);
    assert.equal(await published('with'), 'bookshelf::account-with-0,bookshelf::account-with-1');
    assert.equal((await client.load(at, sum, { sum: 0 })).version, 1);
  });

  it('loads from a snapshot after as many events as the threshold', async () => {
    const at = { category: 'account', id: 'snapshot' };
    await client.append(at, [paid(1), paid(2)]);
    await client.load(at, sum, { sum: 0 });
    const snapshot = await server.psql(
      url,
      "select data from message_store.messages where stream_name = 'bookshelf::account:snapshot-snapshot'",
    );
    assert.deepEqual(JSON.parse(snapshot), { sum: 3, _version: 1 });
    assert.deepEqual(await client.load(at, {}, { sum: 0 }), { state: { sum: 3 }, version: 1 });
  });

  it('finds the event store in domain.toml, in a database of its own too', async () => {
    const elsewhere = await createMessageDb(server);
    const toml = `name = "Bookshelf"\nenable_outbox = true\n[databases.default]\nprovider = "postgresql"\ndatabase_uri = "${url}"
[brokers.default]\nprovider = "inline"\n[event_store]\nprovider = "message_db"\ndatabase_uri = "${elsewhere}"\n`;
    await withFolder({ 'domain.toml': toml }, async (folder) => {
      const other = await connect({ config: `${folder}/domain.toml` });
      const at = { category: 'account', id: 'elsewhere' };
      assert.equal(await other.append(at, [paid(5)]), 0);
      assert.deepEqual(await other.load(at, sum, { sum: 0 }), { state: { sum: 5 }, version: 0 });
      await assert.rejects(
        other.transaction((tx) => tx.append(at, [paid(1)])),
        { code: 'event_store_elsewhere' },
      );
      assert.equal(await published('elsewhere'), '', 'what is elsewhere is not relayed');
      await other.close();
    });
  });

  it('says what is wrong with what it is asked for', async () => {
    const at = { category: 'account', id: 'wrong' };
    const wrong: readonly (readonly [Promise<unknown>, RegExp])[] = [
      [client.append(at, [{ type: 'no name', data: {} }]), /^append, no name: a message is named like/],
      [client.append(at, [paid(1)], { correlationId: '' }), /^append, Paid: correlationId must be a text/],
      [client.append(at, [paid(1)], { expected: 1 } as never), /^append, Paid: unknown option expected/],
      [client.load({ category: 'a-b', id: '' }, sum, { sum: 0 }), /^load: category must be a name/],
    ];
    for (const [call, message] of wrong) await assert.rejects(call, { name: 'TypeError', message });
    const without = await connect({ databaseUri: url });
    await assert.rejects(without.append(at, [paid(1)]), { code: 'no_event_store' });
    await without.close();
    assert.equal(await stored('wrong'), '');
  });
});
