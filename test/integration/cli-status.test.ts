import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Database } from '../../src/connection/database.ts';
import { createPostgresqlLeases } from '../../src/outbox/postgresql-lease.ts';
import { aDatabase, passTime, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { atOnce, entry, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { RunOptions } from '../support/run-command.ts';
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
socket_timeout = 1
[brokers.partner]
provider = "redis"
URI = "\${REDIS_URL}"
[outbox]
external_brokers = ["partner"]
[handlers]
path = "handlers"
[server]
default_subscription_profile = "fast"
[server.subscriptions.Shipping]
concurrency = 3
`;

const handlers = `
import { eventHandler } from 'domaind';
const handles = { OrderPlaced: () => undefined };
export const Shipping = eventHandler({ category: 'order', handles, subscription: { max_retries: 9 } });
export const Billing = eventHandler({ category: 'order', handles });
`;

const order = 'bookshelf::order';

interface Status {
  readonly outboxes: readonly Readonly<Record<string, unknown>>[];
  readonly subscriptions: readonly {
    readonly handler: string;
    readonly stream: string;
    readonly lag: number;
    readonly lag_ms: number;
    readonly pending: number;
    readonly oldest_pending_ms: number | null;
  }[];
  readonly dead_letters: readonly { readonly stream: string; readonly count: number }[];
  readonly leases: readonly { readonly name: string; readonly owner: string; readonly held: boolean }[];
}

interface Subscription {
  readonly handler: string;
  readonly group: string;
  readonly profile: string | null;
  readonly state: Status['subscriptions'];
  readonly settings: Readonly<Record<string, { readonly value: unknown; readonly origin: string }>>;
}

describe('domaind status', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let database: Database;
  let folder: string;
  let environment: Record<string, string>;

  /** Two rows wait, one was given up; Shipping has one entry in hand, three more are unread; one dead letter. */
  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
    environment = { DATABASE_URL: await postgresql.createDatabase(), REDIS_URL: redis.url };
    folder = mkdtempSync(join(tmpdir(), 'domaind-status-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'domain.toml'), toml);
    writeFileSync(join(folder, 'handlers/orders.js'), handlers);
    database = aDatabase(environment['DATABASE_URL'] ?? '');
    await setUp(database);
    const raise = (n: number) =>
      database.bounded((sql) => sql`select outbox_raise_event('OrderPlaced', 'order', ${`${n}`}, '{}'::json)`);
    for (const n of [1, 2, 3]) await raise(n);
    await database.bounded(
      (sql) => sql`update outbox set status = 'abandoned' where stream_name = 'bookshelf::order-3'`,
    );
    await passTime(database, 120_000);
    const leases = createPostgresqlLeases(database);
    await leases.acquire('outbox:default:default:0/1', 'host-1', 60_000);
    const token = await leases.acquire('reaper', 'host-2', 60_000);
    await leases.release('reaper', 'host-2', token ?? '');
    const { broker } = redisBrokerAt(redis.url);
    await broker.publish([1, 2, 3, 4].map((n) => entry(order, `{"n": ${n}}`)));
    const consumer = await broker.consume({ streams: [order], group: 'bookshelf.Shipping', consumer: 'c-1' });
    await consumer.read({ ...atOnce, count: 1 });
    await consumer.close();
    await broker.close();
    await redis.cli('XADD', `${order}:dlq`, '*', 'data', '{}');
  });
  after(async () => {
    await database.close();
    await Promise.all([postgresql.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const ran = (argv: string, options: Partial<RunOptions> = {}) =>
    run(argv.split(' '), { cwd: folder, environment, ...options });

  it('tells of outbox, subscriptions, dead letters and leases', async () => {
    const { code, json } = await ran('status --json');
    assert.equal(code, 0);
    const { outboxes, subscriptions, dead_letters, leases } = json<Status>();
    const [own, partner] = outboxes;
    assert.deepEqual(
      [own?.['database'], own?.['broker'], own?.['pending'], own?.['failed'], own?.['abandoned']],
      ['default', 'default', 2, 0, 1],
    );
    assert.ok(Number(own?.['oldest_pending_ms']) >= 120_000);
    assert.deepEqual([partner?.['broker'], partner?.['pending'], partner?.['oldest_pending_ms']], ['partner', 0, null]);
    assert.deepEqual(
      subscriptions.map(({ handler, stream, lag, pending }) => [handler, stream, lag, pending]),
      [
        ['Billing', order, 4, 0],
        ['Shipping', order, 3, 1],
      ],
    );
    for (const { lag_ms } of subscriptions) assert.ok(lag_ms >= 0 && lag_ms < 60_000);
    assert.notEqual(subscriptions[1]?.oldest_pending_ms, null);
    assert.deepEqual(dead_letters, [{ broker: 'default', stream: `${order}:dlq`, count: 1 }]);
    assert.deepEqual(
      leases.map(({ name, owner, held }) => [name, owner, held]),
      [
        ['outbox:default:default:0/1', 'host-1', true],
        ['reaper', 'host-2', false],
      ],
    );
  });

  it('prints tables of 80 columns', async () => {
    const { out } = await ran('status', { isTty: true, environment: { ...environment, NO_COLOR: '1' } });
    assert.match(out, /^OUTBOX +BROKER +PENDING +FAILED +ABANDONED +OLDEST\ndefault +default +2 +0 +1 +2m/m);
    assert.match(out, /^Shipping +3 +\S+ +1 +\S+ +bookshelf::order$/m);
    assert.match(out, /^1 +bookshelf::order:dlq$/m);
    assert.match(out, /^outbox:default:default:0\/1 +in \d+s +host-1$/m);
    assert.match(out, /^reaper +free for \d+s +last host-2$/m);
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
  });

  it('counts what waits to be replayed to a group', async () => {
    const replay = `${order}:__replay__:bookshelf.Billing`;
    await redis.cli('XADD', replay, '*', 'data', '{}');
    const { subscriptions } = (await ran('status --json')).json<Status>();
    assert.deepEqual(
      subscriptions.filter(({ stream }) => stream !== order).map(({ handler, stream, lag }) => [handler, stream, lag]),
      [['Billing', replay, 1]],
    );
    await redis.cli('DEL', replay);
  });

  it('looks again and again until it is stopped, also while a store is away', async () => {
    const soft = new AbortController();
    const shutdown = { soft: soft.signal, hard: new AbortController().signal };
    await redis.kill();
    const onErr = () => void redis.restart();
    const onOut = () => soft.abort('SIGINT');
    const { code, out, err } = await ran('status --watch --json', { shutdown, onOut, onErr });
    assert.equal(code, 0);
    assert.match(err, /^broker "default": .*cannot be reached/);
    assert.equal((JSON.parse(out) as Status).outboxes.length, 2);
  });

  it('gives no number where a store is away', async () => {
    const away = await ran('status', { environment: { ...environment, REDIS_URL: 'redis://127.0.0.1:1' } });
    assert.deepEqual([away.code, away.out], [69, '']);
    assert.equal((await ran('status now')).code, 2);
  });

  it('says which of the stores only the daemon knows', async () => {
    const inside = 'name = "bookshelf"\n[brokers.default]\nprovider = "inline"\n[handlers]\npath = "handlers"\n';
    writeFileSync(join(folder, 'inline.toml'), inside);
    const { code, out, err } = await ran('status --config inline.toml');
    assert.equal(code, 0);
    assert.match(err, /^"default" \(inline\) lives inside the daemon: ask its \/readyz$/m);
    assert.match(out, /^no subscriptions$/m);
  });
});

describe('domaind subscriptions status', () => {
  let redis: RedisServer;
  let folder: string;

  before(async () => {
    redis = await startRedis({ shared: true });
    await redis.cli('FLUSHDB');
    folder = mkdtempSync(join(tmpdir(), 'domaind-status-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'domain.toml'), toml);
    writeFileSync(join(folder, 'handlers/orders.js'), handlers);
    await redis.cli('XADD', order, '*', 'data', '{}');
  });
  after(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** No database is asked: what is needed of it is its name. */
  const subscriptions = (argv: string, options: Partial<RunOptions> = {}) =>
    run(['subscriptions', ...argv.split(' ')], {
      cwd: folder,
      environment: { DATABASE_URL: 'postgresql://postgres@127.0.0.1:1/x', REDIS_URL: redis.url },
      ...options,
    });

  it('tells of each how it stands, its settings, and where each comes from', async () => {
    const found = (await subscriptions('status --json')).json<readonly Subscription[]>();
    const [billing, shipping] = found;
    assert.deepEqual(
      found.map(({ handler, group, profile, state }) => [handler, group, profile, state[0]?.lag]),
      [
        ['Billing', 'bookshelf.Billing', 'fast', 1],
        ['Shipping', 'bookshelf.Shipping', 'fast', 1],
      ],
    );
    assert.deepEqual(shipping?.settings['max_retries'], { value: 9, origin: 'handler' });
    assert.deepEqual(shipping?.settings['concurrency'], { value: 3, origin: '[server.subscriptions.Shipping]' });
    assert.deepEqual(shipping?.settings['blocking_timeout_ms'], { value: 100, origin: 'profile fast' });
    assert.equal(shipping?.settings['max_crashes']?.origin, 'default');
    assert.deepEqual(billing?.settings['max_retries'], { value: 2, origin: 'profile fast' });
  });

  it('prints those that are no defaults, or all of one handler', async () => {
    const some = await subscriptions('status', { isTty: true });
    assert.match(some.out, /^HANDLER +SETTING +VALUE +FROM$/m);
    assert.match(some.out, /^Shipping +concurrency +3 +\[server\.subscriptions\.Shipping\]$/m);
    assert.doesNotMatch(some.out, /default$/m);
    const all = await subscriptions('status --handler Shipping');
    assert.match(all.out, /^group +bookshelf\.Shipping$/m);
    assert.match(all.out, /^defined at .*orders\.js:4:/m);
    assert.match(all.out, /^max_crashes +3 +default$/m);
    assert.doesNotMatch(all.out, /Billing/);
    for (const line of some.out.split('\n')) assert.ok(line.length <= 80, line);
  });

  it('refuses what it does not know', async () => {
    for (const [argv, text] of [
      ['list', 'there is no subscriptions list'],
      ['status x', 'unexpected "x"'],
      ['status --handler Nope', 'there is no handler "Nope"; there is Billing, Shipping'],
    ] as const) {
      const { code, err } = await subscriptions(argv);
      assert.deepEqual([code, err.includes(text)], [2, true], err);
    }
    assert.match((await subscriptions('--help')).out, /^example: domaind subscriptions status /m);
  });
});
