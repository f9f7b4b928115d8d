import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import postgres from 'postgres';
import type { Client } from '../../src/client/index.ts';
import { connect, process as processCommand, raise } from '../../src/client/index.ts';
import type { Database } from '../../src/connection/database.ts';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

let server: PostgresqlServer;
let url: string;
let database: Database;
let client: Client;
let own: postgres.Sql;
before(async () => {
  server = await startPostgresql();
  url = await server.createDatabase();
  database = aDatabase(url);
  await setUp(database);
  await server.psql(url, 'create table shop_order (id text primary key)');
  client = await connect({ databaseUri: url });
  own = postgres(url, { max: 1, onnotice: () => undefined });
});
after(async () => {
  await own.end();
  await client.close();
  await database.close();
  await server.stop();
});

const order = { category: 'order', id: 'ord-1', data: { order_id: 'ord-1' } };
const column = (id: string, what: string) => server.psql(url, `select ${what} from outbox where message_id = '${id}'`);
const orders = (id: string) => server.psql(url, `select count(*) from shop_order where id = '${id}'`);

describe('a client', () => {
  it('sends a command and raises an event, each in a transaction of its own', async () => {
    const command = await client.process('PlaceOrder', { order_id: 'ord-1' }, { category: 'order' });
    assert.equal(await column(command, 'type'), 'Bookshelf.PlaceOrder.v1');
    assert.equal(await column(command, 'category'), 'bookshelf::order:command');
    const event = await client.raise('OrderPlaced', order);
    assert.equal(await column(event, 'stream_name'), 'bookshelf::order-ord-1');
  });

  it('passes on every option by the name that the database has for it', async () => {
    const traceparent = { trace_id: 'a'.repeat(32), parent_id: 'b'.repeat(16), sampled: true };
    const id = await client.raise('OrderPlaced', {
      ...order,
      version: 3,
      priority: -7,
      partitionKey: 'berlin',
      deliverAt: '2999-01-01T00:00:00Z',
      extensions: { tenant: 'a' },
      correlationId: 'c',
      causationId: 'd',
      traceparent,
      expectedVersion: 4,
      aggregateVersion: 5,
      sequence: 2,
      published: true,
    });
    assert.equal(id, 'bookshelf::order-ord-1-5.2');
    const mine = `${id}' and target_broker is null and '' = '`;
    const metadata = JSON.parse(await column(mine, 'metadata'));
    assert.equal(metadata.headers.type, 'Bookshelf.OrderPlaced.v3');
    assert.deepEqual(metadata.headers.traceparent, traceparent);
    assert.deepEqual(metadata.extensions, { tenant: 'a' });
    const { priority, correlation_id, causation_id, expected_version, sequence_id } = metadata.domain;
    assert.deepEqual([priority, correlation_id, causation_id, expected_version, sequence_id], [-7, 'c', 'd', 4, '5.2']);
    assert.equal(await column(mine, "partition_key || extract(year from deliver_at at time zone 'utc')"), 'berlin2999');
    assert.equal(await column(`${id}' and target_broker = 'partner`, 'count(*)'), '1');
  });

  it('keeps a payload as it is, U+0000 and half a surrogate pair included', async () => {
    const data = { nul: 'a\0b', half: '\ud800', text: 'ü "quoted" \\ {,}', deep: [[{ a: null }]] };
    const id = await client.raise('OrderPlaced', { ...order, data });
    assert.equal(await column(id, 'data'), JSON.stringify(data));
  });

  it('gives one id to commands of one idempotency key', async () => {
    const send = (key: string, type = 'PlaceOrder') =>
      client.process(type, { n: 1 }, { category: 'order', idempotencyKey: key });
    const first = await send('k-1');
    assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(await send('k-1'), first);
    assert.notEqual(await send('k-2'), first);
    assert.notEqual(await send('k-1', 'CancelOrder'), first);
  });

  it('writes messages in the transaction of the change that they tell of', async () => {
    const [event, command] = await client.transaction(async (tx) => {
      await tx.sql`insert into shop_order (id) values ('a')`;
      return [
        await tx.raise('OrderPlaced', { ...order, id: 'a' }),
        await tx.process('ShipOrder', { id: 'a' }, { category: 'shipment' }),
      ];
    });
    assert.equal(await orders('a'), '1');
    assert.equal(await column(event ?? '', 'count(*)'), '1');
    assert.equal(await column(command ?? '', 'count(*)'), '1');
  });

  it('rolls everything back when the work throws, and throws it on', async () => {
    let id = '';
    const work = client.transaction(async (tx) => {
      await tx.sql`insert into shop_order (id) values ('b')`;
      id = await tx.raise('OrderPlaced', { ...order, id: 'b' });
      throw new RangeError('changed my mind');
    });
    await assert.rejects(work, RangeError);
    assert.equal(await orders('b'), '0');
    assert.equal(await column(id, 'count(*)'), '0');
  });

  it('commits nothing when a failure was swallowed', async () => {
    const work = client.transaction(async (tx) => {
      await tx.sql`insert into shop_order (id) values ('c')`;
      await tx.sql`insert into shop_order (id) values ('c')`.catch(() => undefined);
    });
    await assert.rejects(work, { code: 'transaction_aborted' });
    assert.equal(await orders('c'), '0');
  });

  const mistakes: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
    ['no options', () => client.raise('OrderPlaced', undefined as never), /raise\("OrderPlaced"\) needs its options/],
    ['a name that is none', () => client.raise('Order Placed', order), /named like OrderPlaced/],
    ['a category with -', () => client.raise('OrderPlaced', { ...order, category: 'a-b' }), /category must be/],
    ['no id', () => client.raise('OrderPlaced', { category: 'order', data: {} } as never), /id must be/],
    ['data that is undefined', () => client.process('X', undefined, { category: 'order' }), /data must be an object/],
    ['a list as data', () => client.process('X', [], { category: 'order' }), /data must be an object/],
    ['NaN', () => client.process('X', { a: [1, Number.NaN] }, { category: 'order' }), /data\.a\[1\] is NaN/],
    ['a bigint', () => client.process('X', { a: 1n }, { category: 'order' }), /data\.a is a bigint/],
    ['undefined', () => client.process('X', { a: { b: undefined } }, { category: 'order' }), /data\.a\.b is undefined/],
    ['a Map', () => client.process('X', { a: new Map() }, { category: 'order' }), /data\.a is a Map/],
    ['an unknown option', () => client.raise('X', { ...order, prio: 1 } as never), /unknown option prio; known are/],
    ['a bad option', () => client.raise('X', { ...order, version: 0 }), /version must be a whole number from 1/],
    ['a key that cannot be kept', () => client.raise('X', { ...order, correlationId: 'a\0' }), /cannot be kept/],
  ];
  for (const [what, call, message] of mistakes) {
    it(`refuses ${what} before anything is sent`, () => assert.rejects(call, { name: 'TypeError', message }));
  }

  it('refuses data that holds itself', async () => {
    const data: Record<string, unknown> = {};
    data['self'] = data;
    await assert.rejects(client.process('X', data, { category: 'order' }), /data\.self holds itself/);
  });

  it('says that the tables are missing, that nobody answers, and that it is closed', async () => {
    const empty = await connect({ databaseUri: await server.createDatabase() });
    await assert.rejects(empty.raise('OrderPlaced', order), (error: Error) => {
      assert.ok(error instanceof MisconfiguredError);
      return /domaind db setup/.test(error.message);
    });
    await assert.rejects(
      empty.transaction((tx) => tx.raise('OrderPlaced', order)),
      MisconfiguredError,
    );
    await empty.close();
    await assert.rejects(empty.raise('OrderPlaced', order), UnavailableError);
    const nobody = await connect({ databaseUri: 'postgresql://postgres@127.0.0.1:1/x' });
    await assert.rejects(nobody.raise('OrderPlaced', order), UnavailableError);
    await nobody.close();
  });

  it('reads where the outbox is from domain.toml', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'domaind-client-'));
    const file = join(folder, 'domain.toml');
    const toml = (name: string) =>
      `name = "bookshelf"\n[databases.${name}]\nprovider = "postgresql"\ndatabase_uri = "${url}"\n[brokers.default]\nprovider = "inline"\n`;
    await writeFile(file, toml('shop'));
    const configured = await connect({ config: file, database: 'shop' });
    assert.equal(await column(await configured.raise('OrderPlaced', order), 'count(*)'), '1');
    await configured.close();
    await assert.rejects(connect({ config: file }), /\[databases\.default\] is of provider memory/);
    await assert.rejects(connect({ config: file, database: 'other' }), /\[databases\.other\] is not in/);
    await rm(folder, { recursive: true });
  });
});

describe('a client of one’s own', () => {
  it('writes messages by any function that runs a query, in its transaction', async () => {
    const rolledBack = own.begin(async (sql) => {
      await raise((text, params) => sql.unsafe(text, params), 'OrderPlaced', { ...order, id: 'own-1' });
      throw new Error('no');
    });
    await assert.rejects(rolledBack, /no/);
    const ids = await own.begin(async (sql) => [
      await raise((text, params) => sql.unsafe(text, params), 'OrderPlaced', { ...order, id: 'own-2' }),
      await processCommand((text, params) => sql.unsafe(text, params), 'PlaceOrder', { n: 1 }, { category: 'order' }),
    ]);
    const streams = await own`select stream_name from outbox where stream_name like ${'%own-%'}`;
    assert.deepEqual(
      streams.map((row) => row['stream_name']),
      ['bookshelf::order-own-2'],
    );
    assert.equal(await column(ids[1] ?? '', 'count(*)'), '1');
  });

  it('may give its rows in an object, as pg does, or as arrays', async () => {
    const asPg = async (text: string, params: string[]) => ({
      rows: [...(await own.unsafe(text, params))],
      rowCount: 1,
    });
    const asArrays = async (text: string, params: string[]) => own.unsafe(text, params).values();
    for (const run of [asPg, asArrays])
      assert.match(await raise(run, 'OrderPlaced', order), /^bookshelf::order-ord-1-0\./);
    await assert.rejects(
      raise(async () => 1, 'OrderPlaced', order),
      /must answer the rows/,
    );
  });

  it('names the schema where it is another', async () => {
    await assert.rejects(
      raise((text, params) => own.unsafe(text, params), 'OrderPlaced', order, { schema: 'elsewhere' }),
      /elsewhere/,
    );
    await assert.rejects(
      raise(async () => [], 'OrderPlaced', order, { schema: 'a"; drop' }),
      MisconfiguredError,
    );
  });
});
