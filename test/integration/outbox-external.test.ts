import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { configOf } from '../support/config-folder.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Relays } from '../support/relays.ts';
import { startRelays } from '../support/relays.ts';
import { until } from '../support/until.ts';

type Entry = { readonly [key: string]: unknown };

const fixtureFile = new URL('../fixtures/wire/partitions-lanes-external.json', import.meta.url);
const captured: {
  readonly [key: string]: { readonly entries: readonly { readonly fields: { readonly data: string } }[] };
} = JSON.parse(readFileSync(fixtureFile, 'utf8'));

/** Every key, with those of the objects within: what a reader of the other system relies on. */
const shapeOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, each]) => [key, shapeOf(each)]),
      )
    : null;

const fieldsOf = (value: unknown): Entry => (typeof value === 'object' && value !== null ? { ...value } : {});

describe('external brokers', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let urls: readonly string[] = [];
  let relays: Relays;

  const raise = (database: number, options: string) =>
    postgresql.psql(
      urls[database] ?? '',
      `select outbox_raise_event('OrderPlaced', 'order', 'o-1', '{"order_id":"o-1","client_id":"c1","total":0}'::json, '${options}'::jsonb)`,
    );

  const entriesOf = async (database: number, stream: string): Promise<readonly Entry[]> => {
    const script = "redis.call('SELECT', ARGV[1]) return redis.call('XRANGE', KEYS[1], '-', '+')";
    const entries = (await redis.cli('EVAL', script, 1, stream, database)) as readonly [string, readonly string[]][];
    return entries.map(([, fields]) => JSON.parse(fields[1] ?? '') as Entry);
  };
  const arrived = (database: number, stream: string, count: number) =>
    until(`${count} entries on ${stream} of database ${database}`, async () => {
      const found = await entriesOf(database, stream);
      return found.length >= count ? found : null;
    });

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
    urls = await Promise.all([postgresql.createDatabase(), postgresql.createDatabase()]);
    for (const url of urls) {
      const database = aDatabase(url);
      await setUp(database, {
        normalized: 'orders',
        camel: 'Orders',
        externalBrokers: ['partner', 'audit'],
        shards: 2,
      });
      await database.close();
    }
    const config = await configOf(`
      name = "orders"
      enable_outbox = true
      [databases]
      default = { provider = "postgresql", database_uri = "${urls[0]}" }
      second = { provider = "postgresql", database_uri = "${urls[1]}" }
      [brokers]
      default = { provider = "redis", URI = "${redis.url}/0" }
      partner = { provider = "redis", URI = "${redis.url}/1" }
      audit = { provider = "redis", URI = "${redis.url}/2" }
      [outbox]
      external_brokers = ["partner", "audit"]
      tick_interval = 20
      [outbox.retry]
      base_delay_seconds = 0.2
      max_attempts = 3
      jitter = false
      [server.priority_lanes]
      enabled = true
    `);
    relays = await startRelays(config);
  });
  after(async () => {
    await relays?.stop();
    await redis?.stop();
    await postgresql?.stop();
  });

  it('get the form that the other system gives them, on the plain category', async () => {
    await raise(0, '{"published":true,"priority":-5,"partition_key":"c1"}');
    const [own] = await arrived(0, 'orders::order:backfill', 1);
    for (const database of [1, 2]) {
      const [entry] = await arrived(database, 'orders::order', 1);
      const [theirs] = captured['db5:orders::order']?.entries ?? [];
      assert.deepEqual(shapeOf(entry), shapeOf(JSON.parse(theirs?.fields.data ?? '')));
      assert.deepEqual(entry?.['data'], own?.['data']);
      assert.equal((await entriesOf(database, 'orders::order:backfill')).length, 0);
    }
  });

  it('get what was raised as published, of every database, and nothing else', async () => {
    await raise(0, '{"extensions":{"tenant":"t"}}');
    await raise(1, '{"published":true,"extensions":{"tenant":"t"}}');
    await arrived(0, 'orders::order', 2);
    const [, second] = await arrived(1, 'orders::order', 2);
    assert.deepEqual(fieldsOf(second?.['metadata'])['extensions'], { tenant: 't' });
    assert.equal((await entriesOf(1, 'orders::order')).length, 2);
  });

  it('are woken by writers, not by the poll of twenty seconds', async () => {
    await until('the relays sleep', async () => {
      const held = await postgresql.psql(
        urls[0] ?? '',
        "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
      );
      // Two shards, of three brokers each.
      return Number(held) >= 6 ? true : null;
    });
    const before = (await entriesOf(1, 'orders::order')).length;
    const startedAt = performance.now();
    await raise(0, '{"published":true}');
    await arrived(1, 'orders::order', before + 1);
    assert.ok(performance.now() - startedAt < 5_000);
  });

  it('have failures of their own', async () => {
    const script = "redis.call('SELECT', 1) redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], 'no stream')";
    await redis.cli('EVAL', script, 1, 'orders::order');
    const before = (await entriesOf(2, 'orders::order')).length;
    const own = (await entriesOf(0, 'orders::order')).length;
    await raise(0, '{"published":true}');
    await arrived(0, 'orders::order', own + 1);
    await arrived(2, 'orders::order', before + 1);
    await until('the partner’s row is given up', async () =>
      relays.events.count('outbox.row_abandoned') === 1 ? true : null,
    );
    const store = relays.providers.database('default').outbox;
    const stats = await Promise.all([null, 'partner', 'audit'].map((target) => store?.stats(target)));
    assert.deepEqual(
      stats.map((each) => [each?.pending, each?.failed, each?.abandoned]),
      [
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 0],
      ],
    );
  });
});
