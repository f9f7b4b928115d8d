import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { commandHandler, NonRetryableError, projector } from 'domaind';
import type { InProcessClient } from 'domaind/client';
import { connect } from 'domaind/client';
import type { Database } from '../../src/connection/database.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

const toml = (database: string) => `name = "bookshelf"
command_processing = "sync"
event_processing = "sync"
enable_outbox = true
[databases.default]
${database}
[brokers.default]
provider = "inline"
`;

const Orders = commandHandler({
  category: 'order',
  handles: {
    PlaceOrder: async (command, ctx) => {
      const { order_id, items } = command.data;
      await ctx.sql`insert into shop_order (id) values (${order_id})`;
      ctx.raise('OrderPlaced', { category: 'order', id: order_id, data: { order_id } });
      ctx.raise('OrderSeen', { category: 'elsewhere', id: order_id, data: { order_id } });
      if (items === 0) throw new NonRetryableError('an order needs items');
      return { order_id, total: items * 10 };
    },
  },
});

const Summary = projector({
  categories: ['order'],
  handles: {
    OrderPlaced: async (event, ctx) => {
      await ctx.sql`insert into summary (order_id) values (${event.data.order_id})`;
    },
  },
});

const Counts = commandHandler({
  category: 'count',
  handles: {
    Count: async (_command, ctx) => {
      const counts = ctx.store('counts');
      const { n } = (await counts.get('all')) ?? { n: 0 };
      await counts.put('all', { n: n + 1 });
      return n + 1;
    },
  },
});

describe('an application that handles its own messages', () => {
  let server: PostgresqlServer;
  let folder = '';
  let url = '';
  let database: Database;
  let client: InProcessClient;

  before(async () => {
    server = await startPostgresql();
    url = await server.createDatabase();
    database = aDatabase(url);
    await setUp(database);
    await server.psql(url, 'create table shop_order (id text primary key); create table summary (order_id text)');
    folder = await mkdtemp(join(tmpdir(), 'domaind-in-process-'));
    await writeFile(join(folder, 'domain.toml'), toml(`provider = "postgresql"\ndatabase_uri = "${url}"`));
    await writeFile(join(folder, 'memory.toml'), toml('provider = "memory"'));
    client = await connect({ config: join(folder, 'domain.toml'), handlers: { Orders, Summary, Counts } });
  });
  after(async () => {
    await client?.close();
    await database?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const there = (table: string, id: string) =>
    server.psql(url, `select count(*) from ${table} where ${table === 'summary' ? 'order_id' : 'id'} = '${id}'`);
  const outbox = (id: string) =>
    server.psql(
      url,
      `select coalesce(string_agg(split_part(type, '.', 2), ','), '') from outbox where data ->> 'order_id' = '${id}'`,
    );

  it('gets what the handler of its command returns, with all that follows from it committed', async () => {
    const answer = await client.process('PlaceOrder', { order_id: 'o-1', items: 3 }, { category: 'order' });
    assert.deepEqual(answer, { order_id: 'o-1', total: 30 });
    assert.deepEqual([await there('shop_order', 'o-1'), await there('summary', 'o-1')], ['1', '1']);
    assert.equal(await outbox('o-1'), 'OrderSeen', 'what nobody here handles is for others');
  });

  it('gets the error of the handler, with nothing committed', async () => {
    const order = { order_id: 'o-2', items: 0 };
    await assert.rejects(client.process('PlaceOrder', order, { category: 'order' }), NonRetryableError);
    assert.deepEqual([await there('shop_order', 'o-2'), await outbox('o-2')], ['0', '']);
  });

  it('has commands and events in a transaction of its own: all of it or nothing', async () => {
    const value = await client.transaction(async (tx) => {
      await tx.sql`insert into shop_order (id) values ('own-1')`;
      tx.raise('OrderPlaced', { category: 'order', id: 'own-1', data: { order_id: 'own-1' } });
      return tx.process('PlaceOrder', { order_id: 'o-3', items: 1 }, { category: 'order' });
    });
    assert.deepEqual(value, { order_id: 'o-3', total: 10 });
    assert.deepEqual([await there('summary', 'own-1'), await there('summary', 'o-3')], ['1', '1']);
    const failing = client.transaction(async (tx) => {
      await tx.process('PlaceOrder', { order_id: 'o-4', items: 1 }, { category: 'order' });
      throw new Error('changed my mind');
    });
    await assert.rejects(failing, /changed my mind/);
    assert.deepEqual([await there('shop_order', 'o-4'), await outbox('o-4')], ['0', '']);
  });

  it('loses no conflict: those who want the same row at once are tried again', async () => {
    const send = () => client.process('Count', {}, { category: 'count' });
    const answers = await Promise.all(Array.from({ length: 8 }, send));
    assert.deepEqual(
      answers.map(Number).sort((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
  });

  it('needs no server with the provider memory', async () => {
    const memory = await connect({ config: join(folder, 'memory.toml'), handlers: { Counts } });
    assert.equal(await memory.process('Count', {}, { category: 'count' }), 1);
    assert.equal(await memory.process('Count', {}, { category: 'count' }), 2);
    const seen = await memory.transaction((tx) => tx.store<{ readonly n: number }>('counts').get('all'));
    assert.deepEqual(seen, { n: 2 });
    await memory.close();
  });

  it('is told that its database is away', async () => {
    await writeFile(
      join(folder, 'away.toml'),
      toml('provider = "postgresql"\ndatabase_uri = "postgresql://127.0.0.1:1/x"'),
    );
    const away = await connect({ config: join(folder, 'away.toml'), handlers: { Counts } });
    await assert.rejects(away.process('Count', {}, { category: 'count' }), UnavailableError);
    await away.close();
  });
});
