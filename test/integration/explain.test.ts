import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runDomaind } from '../support/daemon.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { atOnce, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';

const toml = `
name = "bookshelf"
enable_outbox = true
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[server]
default_subscription_profile = "fast"
[server.health]
enabled = false
`;
const handlers = `
import { eventHandler, NonRetryableError } from 'domaind';
export const Shipping = eventHandler({
  category: 'order',
  handles: { OrderPlaced: async (event, ctx) => void (await ctx.sql\`select 1\`) },
});
export const Billing = eventHandler({
  category: 'order',
  handles: { OrderPlaced: () => { throw new NonRetryableError('the card has expired'); } },
});
`;
const order = 'bookshelf::order';

interface Explained {
  readonly messages: readonly {
    readonly message_id: string;
    readonly stream: string;
    readonly timeline: readonly { readonly at: string | null; readonly where: string; readonly what: string }[];
  }[];
}

describe('domaind explain', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let folder: string;
  let url: string;
  let messageId: string;
  let entryId: string;

  /** One order that Shipping has handled and Billing has given up. */
  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
    url = await postgresql.createDatabase();
    const database = aDatabase(url);
    await setUp(database, { externalBrokers: [] });
    await database.close();
    folder = mkdtempSync(join(tmpdir(), 'domaind-explain-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'domain.toml'), toml);
    writeFileSync(join(folder, 'handlers/orders.mjs'), handlers);
    messageId = await raise('o-1', 'corr-1');
    const ran = await runDomaind(['server', '--until-idle', '--config', join(folder, 'domain.toml')], environment());
    assert.equal(ran.code, 0, ran.err);
    const [first] = (await redis.cli('XRANGE', order, '-', '+')) as readonly (readonly string[])[];
    entryId = first?.[0] ?? '';
  });
  after(async () => {
    await Promise.all([postgresql.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const environment = () => ({ DATABASE_URL: url, REDIS_URL: redis.url });
  const raise = (id: string, correlation: string) =>
    postgresql.psql(
      url,
      `select outbox_raise_event('OrderPlaced', 'order', '${id}', '{"secret": "payload"}'::json,
         '{"correlation_id": "${correlation}"}'::jsonb)`,
    );
  const explained = async (id: string) => {
    const ran = await run(['explain', id, '--json'], { cwd: folder, environment: environment() });
    assert.equal(ran.code, 0, ran.err);
    return ran.json<Explained>().messages;
  };

  it('tells the life of a message in the order in which it happened', async () => {
    const [life, ...others] = await explained(messageId);
    assert.deepEqual(others, []);
    assert.equal(life?.message_id, messageId);
    assert.equal(life?.stream, `${order}-o-1`);
    const told = life?.timeline.map(({ where, what }) => `${where}: ${what}`) ?? [];
    const expected = [
      /^outbox of "default": row \d+ was written$/,
      /^broker "default": entry \d+-0 on bookshelf::order$/,
      /^outbox of "default": published: the broker confirmed it$/,
      /^inbox of "default": Shipping has handled it: its effects are committed$/,
      /^Billing: attempt 1 failed: NonRetryableError: the card has expired$/,
      /^bookshelf::order:dlq: dead letter \d+-0: Billing gave it up after 1 attempts: NonRetryableError: the card has/,
    ];
    for (const each of expected)
      assert.ok(
        told.some((line) => each.test(line)),
        `${each}\n${told.join('\n')}`,
      );
    assert.equal(told.length, expected.length, told.join('\n'));
    assert.match(told[0] ?? '', /was written/);
    const times = life?.timeline.map(({ at }) => Date.parse(at ?? '')) ?? [];
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    assert.doesNotMatch(JSON.stringify(life), /payload/);
  });

  it('finds it by its stream, its correlation and its entry as well', async () => {
    const expected = await explained(messageId);
    for (const id of [`${order}-o-1`, 'corr-1', entryId]) {
      const found = await explained(id);
      assert.deepEqual(found, expected, id);
    }
  });

  it('finds a command by its idempotency key, and says that it waits', async () => {
    await postgresql.psql(
      url,
      `select outbox_process_command('PlaceOrder', 'order', '{}'::json, '{"idempotency_key": "key-1"}'::jsonb)`,
    );
    const [life] = await explained('key-1');
    assert.deepEqual(life?.timeline.map(({ what }) => what).slice(1), ['pending: waits for a relay']);
  });

  it('says who has it in hand, what failed, and when the next try is due', async () => {
    const { broker } = redisBrokerAt(redis.url);
    const body = JSON.stringify({ data: {}, metadata: { headers: { id: 'm-9', type: 'T', stream: `${order}-9` } } });
    await broker.publish([{ stream: order, body, key: null }]);
    const consumer = await broker.consume({ streams: [order], group: 'bookshelf.Shipping', consumer: 'c-9' });
    const [delivery] = await consumer.read({ ...atOnce, count: 1 });
    assert.ok(delivery);
    const failure = {
      time: '2026-11-23T14:00:00.000Z',
      consumer: 'c-9',
      error_type: 'Error',
      error_message: 'no stock',
    };
    await consumer.settle([{ kind: 'retry', delivery, failure }]);
    const [life] = await explained('m-9');
    const told = life?.timeline.map(({ where, what }) => `${where}: ${what}`) ?? [];
    assert.ok(told.includes('Shipping: attempt 1 failed: Error: no stock'), told.join('\n'));
    assert.ok(
      told.some((line) =>
        /^Shipping: in the hand of c-9, delivered \S+( times)?, .*; attempt 2 is due at about 2026-/.test(line),
      ),
      told.join('\n'),
    );
    assert.ok(told.includes('Billing: has not read it yet'), told.join('\n'));
    await consumer.close();
    await broker.close();
  });

  it('prints a table that fits the terminal', async () => {
    const { code, out } = await run(['explain', messageId], { cwd: folder, environment: environment(), isTty: true });
    assert.equal(code, 0);
    assert.match(out, /^message +bookshelf::order-o-1-/m);
    assert.match(out, /^TIME +WHERE +WHAT$/m);
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
  });

  it('says so where nothing is known, and ends with 1', async () => {
    const { code, err } = await run(['explain', 'nobody'], { cwd: folder, environment: environment() });
    assert.equal(code, 1);
    assert.match(err, /nothing is known of nobody/);
  });
});
