import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { placeOrder as placeWithDrizzle } from '../../examples/with-drizzle/place-order.ts';
import { placeOrder as placeWithPg } from '../../examples/with-pg/place-order.ts';
import { tools, toolsAdvice } from '../../scripts/deploy-tools.mjs';
import type { Database } from '../../src/connection/database.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { pythonWithPsycopg } from '../support/python.ts';

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

describe('a message in the transaction of an application', () => {
  let server: PostgresqlServer;
  let url = '';
  let database: Database;
  let pool: pg.Pool;

  before(async () => {
    server = await startPostgresql();
    url = await server.createDatabase();
    database = aDatabase(url);
    await setUp(database);
    await server.psql(url, 'create table shop_order (id text primary key, customer text not null)');
    pool = new pg.Pool({ connectionString: url, max: 2 });
  });
  after(async () => {
    await pool?.end();
    await database?.close();
    await server?.stop();
  });

  const messages = (order: string) =>
    server.psql(
      url,
      `select string_agg(split_part(type, '.', 2), ',' order by id) from outbox where data ->> 'order_id' = '${order}'`,
    );
  const orders = (id: string) => server.psql(url, `select count(*) from shop_order where id = '${id}'`);

  it('is written by pg, and not where the transaction fails', async () => {
    const id = await placeWithPg(pool, { id: 'pg-1', customer: 'Ada' });
    assert.match(id, /^bookshelf::order-pg-1-0\.\d+$/);
    assert.equal(await messages('pg-1'), 'OrderPlaced');
    await assert.rejects(placeWithPg(pool, { id: 'pg-1', customer: 'Ada' }), /duplicate key/);
    assert.equal(await messages('pg-1'), 'OrderPlaced');
  });

  it('is written by Drizzle, events and commands, and not where the transaction fails', async () => {
    const client = await pool.connect();
    try {
      const db = drizzle(client);
      const ids = await db.transaction((tx) => placeWithDrizzle({ tx, client }, { id: 'd-1', customer: 'Ada' }));
      assert.equal(new Set(ids).size, 2);
      assert.equal(await messages('d-1'), 'OrderPlaced,PackOrder');
      const undone = db.transaction(async (tx) => {
        await placeWithDrizzle({ tx, client }, { id: 'd-2', customer: 'Ada' });
        throw new Error('out of stock');
      });
      await assert.rejects(undone, /out of stock/);
      assert.deepEqual([await orders('d-2'), await messages('d-2')], ['0', '']);
    } finally {
      client.release();
    }
  });

  it('is written by Python, and not where the transaction fails', async () => {
    const python = await pythonWithPsycopg();
    const place = (id: string) =>
      promisify(execFile)(python, [example('with-python/place_order.py'), id, 'Ada'], {
        env: { ...process.env, DATABASE_URL: url },
      });
    const { stdout } = await place('py-1');
    assert.match(stdout, /^bookshelf::order-py-1-0\.\d+\n[0-9a-f-]{36}\n$/);
    assert.equal(await messages('py-1'), 'OrderPlaced,PackOrder');
    await assert.rejects(place('py-1'), /UniqueViolation/);
    assert.equal(await messages('py-1'), 'OrderPlaced,PackOrder');
  });

  const noGo = !existsSync(tools.goExample) && !process.env['CI'] && toolsAdvice;
  it('is written by Go, and not where the transaction fails', { skip: noGo }, async () => {
    const place = (id: string) =>
      promisify(execFile)(tools.goExample, [id, 'Ada'], {
        env: { ...process.env, DATABASE_URL: `${url}?sslmode=disable` },
      });
    const { stdout } = await place('go-1');
    assert.match(stdout, /^bookshelf::order-go-1-0\.\d+\n[0-9a-f-]{36}\n$/);
    assert.equal(await messages('go-1'), 'OrderPlaced,PackOrder');
    await assert.rejects(place('go-1'), /duplicate key/);
    assert.equal(await messages('go-1'), 'OrderPlaced,PackOrder');
  });

  it('is written by psql', async () => {
    const text = `
      begin;
      insert into shop_order values ('sql-1', 'Ada');
      select outbox_raise_event('OrderPlaced', 'order', 'sql-1', '{"order_id": "sql-1"}');
      commit;`;
    await server.psql(url, text);
    assert.deepEqual([await orders('sql-1'), await messages('sql-1')], ['1', 'OrderPlaced']);
  });

  it('is written by a trigger, for an application that knows nothing of it', async () => {
    await server.psql(url, await readFile(example('with-sql/trigger.sql'), 'utf8'));
    await server.psql(url, `insert into shop_order values ('t-1', 'Ada'), ('t-2', 'Grace')`);
    await server.psql(url, `begin; insert into shop_order values ('t-3', 'Kurt'); rollback`);
    assert.deepEqual(
      [await messages('t-1'), await messages('t-2'), await messages('t-3')],
      ['OrderPlaced', 'OrderPlaced', ''],
    );
    await server.psql(url, 'drop trigger tell_of_order on shop_order');
  });
});
