import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { connect } from '../../src/client/index.ts';
import type { Daemon } from '../support/daemon.ts';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const config = fileURLToPath(new URL('../fixtures/e2e/domain.toml', import.meta.url));
const half = 5_000;
const poison = 5;
const handlers = ['Orders', 'Shipping', 'Sales'];
const group = (handler: string) => `bookshelf.${handler}`;

describe('ten thousand orders through two daemons that are killed on the way', () => {
  let postgresql: PostgresqlServer;
  let redisServer: RedisServer;
  let databaseUrl = '';
  let environment: Record<string, string> = {};
  let sql: postgres.Sql;
  const daemons: Daemon[] = [];

  const start = async () => {
    const daemon = startDaemon(['server', '--config', config], environment);
    daemons.push(daemon);
    return daemon;
  };

  before(async () => {
    postgresql = await startPostgresql({ own: true });
    redisServer = await startRedis({ appendonly: true });
    databaseUrl = await postgresql.createDatabase();
    environment = { DATABASE_URL: databaseUrl, REDIS_URL: redisServer.url };
    const setup = await runDomaind(['db', 'setup', '--config', config], environment);
    assert.equal(setup.code, 0, setup.err);
    sql = postgres(databaseUrl, { max: 2, onnotice: () => undefined });
    await sql`create table shop_order (id text primary key)`;
    await sql`create table effect (handler text not null, order_id text not null)`;
  });

  after(async () => {
    for (const daemon of daemons) daemon.signal('SIGKILL');
    await sql?.end();
    await redisServer?.stop();
    await postgresql?.stop();
  });

  /** Half of the orders, by the client: the order and its command in one transaction, one in ten rolled back. */
  async function sendByClient(prefix: string, count: number, poisoned: number): Promise<void> {
    const client = await connect({ databaseUri: databaseUrl });
    const place = async (n: number) => {
      const id = `${prefix}${n}`;
      const rollBack = n % 10 === 9;
      const sent = client.transaction(async (tx) => {
        await tx.sql`insert into shop_order (id) values (${id})`;
        await tx.process('PlaceOrder', { order_id: id, poison: n < poisoned }, { category: 'order', id });
        if (rollBack) throw new Error('changed my mind');
      });
      await sent.catch((error: Error) => {
        if (!rollBack) throw error;
      });
    };
    const retried = async (n: number): Promise<void> => {
      // The connection may be terminated under it: an order that was not committed is placed again.
      for (let tries = 0; ; tries += 1) {
        try {
          return await place(n);
        } catch (error) {
          const [known] = await sql`select 1 from shop_order where id = ${`${prefix}${n}`}`;
          if (known) return;
          if (tries === 5) throw error;
          await delay(100);
        }
      }
    };
    for (let from = 0; from < count; from += 10) {
      await Promise.all(Array.from({ length: Math.min(10, count - from) }, (_, n) => retried(from + n)));
    }
    await client.close();
  }

  /** The other half in psql, by the SQL function. */
  async function sendBySql(count: number): Promise<void> {
    for (let from = 0; from < count; from += 250) {
      const statements = Array.from({ length: Math.min(250, count - from) }, (_, index) => {
        const n = from + index;
        const id = `sql-${n}`;
        return `begin; insert into shop_order values ('${id}');
          select outbox_process_command('PlaceOrder', 'order', '{"order_id":"${id}"}'::json, '{"id":"${id}"}'::jsonb);
          ${n % 10 === 9 ? 'rollback' : 'commit'};`;
      });
      await postgresql.psql(databaseUrl, statements.join('\n'));
    }
  }

  async function counts(): Promise<Record<string, number>> {
    const rows = await sql<{ handler: string; count: number }[]>`select handler, count(*)::int from effect group by 1`;
    return Object.fromEntries(rows.map(({ handler, count }) => [handler, count]));
  }

  /** Entries that the group has not read: the redis of the tests knows. */
  async function lagOf(redis: Redis, stream: string, handler: string): Promise<number> {
    const groups = (await redis.xinfo('GROUPS', stream)) as readonly (readonly unknown[])[];
    const own = groups.find((facts) => facts[1] === group(handler)) ?? [];
    return Number(own[own.indexOf('lag') + 1] ?? -1);
  }

  async function quiet(committed: number): Promise<void> {
    const redis = new Redis(redisServer.url);
    const expected = { Orders: committed, Shipping: committed - poison, Sales: committed };
    try {
      await until(
        'every effect, an empty outbox, no pending entries',
        async () => {
          const now = await counts();
          const [waiting] = await sql`select count(*)::int as rows from outbox where status in ('pending', 'failed')`;
          if (waiting?.['rows'] !== 0 || handlers.some((name) => (now[name] ?? 0) < (expected[name as 'Orders'] ?? 0)))
            return null;
          const pending = await Promise.all([
            redis.xpending('bookshelf::order:command', group('Orders')),
            redis.xpending('bookshelf::order', group('Shipping')),
            redis.xpending('bookshelf::order', group('Sales')),
          ]);
          const unread = await Promise.all([
            lagOf(redis, 'bookshelf::order:command', 'Orders'),
            lagOf(redis, 'bookshelf::order', 'Shipping'),
            lagOf(redis, 'bookshelf::order', 'Sales'),
          ]);
          return pending.every(([count]) => count === 0) && unread.every((lag) => lag === 0) ? true : null;
        },
        120_000,
      );
    } finally {
      redis.disconnect();
    }
    assert.deepEqual(await counts(), expected);
  }

  it('has one effect for every committed order and handler, none for the rest, and loses nothing', async () => {
    let first = await start();
    const second = await start();
    await Promise.all([first.seen('daemon.ready'), second.seen('daemon.ready')]);
    const sending = Promise.all([sendByClient('client-', half, poison), sendBySql(half)]);

    for (let kill = 1; kill <= 5; kill += 1) {
      await delay(1_200);
      first.signal('SIGKILL');
      await first.ended;
      first = await start();
      if (kill === 2) {
        await redisServer.kill();
        await redisServer.restart();
      }
      if (kill === 4) {
        await postgresql.psql(
          postgresql.url,
          `select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'domaind%'`,
        );
      }
      await first.seen('daemon.ready');
    }
    await sending;
    const [placed] = await sql`select count(*)::int as orders from shop_order`;
    assert.equal(placed?.['orders'], 2 * half * 0.9);
    await quiet(2 * half * 0.9);

    const [distinct] =
      await sql`select count(distinct (handler, order_id))::int as effects, count(*)::int as rows from effect`;
    assert.equal(distinct?.['effects'], distinct?.['rows']);
    const [stray] =
      await sql`select count(*)::int as rows from effect where order_id not in (select id from shop_order)`;
    assert.equal(stray?.['rows'], 0);

    const deadLetters = await holdsOnlyThePoison();
    await agreesWithTheMetrics([first, second], deadLetters);
    for (const daemon of [first, second]) {
      daemon.signal('SIGTERM');
      assert.deepEqual(await daemon.ended, { code: 0, signal: null });
    }
  });

  /** The dead letters are exactly the planted poison, each once, with its whole history; the malformed entry with its bytes. */
  async function holdsOnlyThePoison(): Promise<number> {
    const redis = new Redis(redisServer.url);
    await redis.xadd('bookshelf::order:command', '*', 'data', '{"not": "a message"');
    const malformed = await until('the malformed entry', async () => {
      const letters = await redis.xrange('bookshelf::order:command:dlq', '-', '+');
      return letters.length > 0 ? letters : null;
    });
    assert.equal(malformed.length, 1);
    const body = JSON.parse(malformed[0]?.[1][1] ?? '{}') as { raw_base64: string };
    assert.equal(Buffer.from(body.raw_base64, 'base64').toString(), '{"not": "a message"');
    const letters = (await redis.xrange('bookshelf::order:dlq', '-', '+')).map(
      ([, fields]) =>
        JSON.parse(fields[1] ?? '{}') as {
          data: { order_id: string };
          _dlq_metadata: { original_id: string; handler: string; attempts: unknown[]; consumer_group: string };
        },
    );
    // A relay that is killed between publishing and marking publishes again: each entry of the poison has its letter.
    const entries = await redis.xrange('bookshelf::order', '-', '+');
    const poisonous = entries.flatMap(([id, fields]) => {
      const { data } = JSON.parse(fields[1] ?? '{}') as { data: { order_id: string; poison?: boolean } };
      return data.poison ? [{ id, order: data.order_id }] : [];
    });
    assert.deepEqual(
      letters.map(({ _dlq_metadata }) => _dlq_metadata.original_id).sort(),
      poisonous.map(({ id }) => id).sort(),
    );
    assert.deepEqual(
      [...new Set(letters.map(({ data }) => data.order_id))].sort(),
      Array.from({ length: poison }, (_, n) => `client-${n}`),
    );
    for (const { _dlq_metadata } of letters) {
      assert.equal(_dlq_metadata.handler, 'Shipping');
      assert.equal(_dlq_metadata.consumer_group, group('Shipping'));
      assert.equal(_dlq_metadata.attempts.length, 3);
    }
    redis.disconnect();
    return letters.length;
  }

  /** A hundred more while nothing is killed: both daemons' counters together grow by exactly what was handled. */
  async function agreesWithTheMetrics(running: readonly Daemon[], deadLetters: number): Promise<void> {
    const before = await handledOk(running);
    const committed = 2 * half * 0.9 + 90;
    await sendByClient('more-', 100, 0);
    await quiet(committed);
    await until('the counters', async () =>
      (await handledOk(running)) - before >= 90 * handlers.length ? true : null,
    );
    assert.equal((await handledOk(running)) - before, 90 * handlers.length);
    const gauges = await until('fresh gauges', async () => {
      const text = await metrics(running[0]);
      const pending = sample(text, /^domaind_outbox_pending_messages\{[^}]*\} (\d+)/m);
      const letters = sample(text, /^domaind_dead_letters_messages\{stream="bookshelf::order"\} (\d+)/m);
      return pending === 0 && letters === deadLetters ? { pending, letters } : null;
    });
    assert.deepEqual(gauges, { pending: 0, letters: deadLetters });
  }

  const metrics = async (daemon: Daemon | undefined) => (await fetch(`${await daemon?.health()}/metrics`)).text();

  const sample = (text: string, pattern: RegExp) => {
    const [, value] = pattern.exec(text) ?? [];
    return value === undefined ? null : Number(value);
  };

  async function handledOk(running: readonly Daemon[]): Promise<number> {
    const texts = await Promise.all(running.map(metrics));
    const samples = texts.flatMap((text) => [
      ...text.matchAll(/^domaind_messages_handled_total\{[^}]*outcome="ok"[^}]*\} (\d+)/gm),
    ]);
    return samples.reduce((sum, [, value]) => sum + Number(value), 0);
  }
});
