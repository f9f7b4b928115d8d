import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import type { Daemon } from '../support/daemon.ts';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';
import { until } from '../support/until.ts';

const config = fileURLToPath(new URL('../fixtures/partitions/domain.toml', import.meta.url));
const leaseTtlMs = 2_000;
const customers = Array.from({ length: 6 }, (_, n) => `c${n}`);

interface Partition {
  readonly handler: string;
  readonly key: string;
  readonly owner: string | null;
  readonly blocked: { readonly error_message: string } | null;
}

describe('handlers that keep the order of each customer, in daemons that come and go', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let environment: Record<string, string> = {};
  let sql: postgres.Sql;
  const daemons: Daemon[] = [];
  let sent = 0;

  before(async () => {
    postgresql = await startPostgresql();
    redis = await startRedis();
    environment = { DATABASE_URL: await postgresql.createDatabase(), REDIS_URL: redis.url };
    const setup = await runDomaind(['db', 'setup', '--config', config], environment);
    assert.equal(setup.code, 0, setup.err);
    sql = postgres(environment['DATABASE_URL'] ?? '', { max: 2, onnotice: () => undefined });
    await sql`create table effect (at bigint generated always as identity, handler text, customer text, n int, pid int)`;
  });
  after(async () => {
    for (const daemon of daemons) daemon.signal('SIGKILL');
    await sql?.end();
    await redis?.stop();
    await postgresql?.stop();
  });

  const start = async () => {
    const daemon = startDaemon(['server', '--config', config], environment);
    daemons.push(daemon);
    await daemon.seen('daemon.ready');
    return daemon;
  };
  const command = (...argv: readonly string[]) =>
    run([...argv, '--config', config, '--json'], { cwd: dirname(config), environment });
  const partitions = async (...argv: readonly string[]): Promise<readonly Partition[]> => {
    const { code, out, err } = await command('subscriptions', 'partitions', ...argv);
    assert.equal(code, 0, err);
    return JSON.parse(out);
  };
  const place = async (customer: string, more: Record<string, unknown> = {}) => {
    sent += 1;
    const data = JSON.stringify({ customer, n: sent, ...more });
    await sql`select outbox_raise_event('OrderPlaced', 'order', ${`o${sent}`}, ${data}::text::json, ${sql.json({ partition_key: customer })})`;
  };
  /** One for each customer, the key taken from the payload. */
  const placeForAll = async (rounds: number) => {
    for (let round = 0; round < rounds; round += 1) {
      for (const customer of customers) {
        sent += 1;
        const data = JSON.stringify({ customer, n: sent });
        await sql`select outbox_raise_event('OrderPlaced', 'order', ${`o${sent}`}, ${data}::text::json)`;
      }
    }
  };
  const effects = async (handler: string) =>
    sql<{ customer: string; n: number; pid: number }[]>`
      select customer, n, pid from effect where handler = ${handler} order by at`;
  const handledAll = (handler: string) =>
    until(`${sent} effects of ${handler}`, async () => ((await effects(handler)).length >= sent ? true : null), 20_000);
  const assertInOrder = async () => {
    const all = await effects('Billing');
    assert.equal(new Set(all.map(({ n }) => n)).size, all.length, 'each once');
    for (const customer of customers) {
      const order = all.flatMap((each) => (each.customer === customer ? [each.n] : []));
      assert.deepEqual(
        order,
        [...order].sort((one, other) => one - other),
        customer,
      );
    }
  };
  const ownersOf = async (handler: string) =>
    new Set((await partitions('--handler', handler)).map(({ owner }) => owner));

  it('handles what is raised in SQL in the order of each key, by every handler of the category', async () => {
    await start();
    await placeForAll(5);
    await place('c0');
    await handledAll('Billing');
    await handledAll('Summary');
    await assertInOrder();
    assert.equal(await redis.cli('EXISTS', 'shop::order'), 1, 'the group, and nothing else');
    assert.equal(await redis.cli('XLEN', 'shop::order'), 0);
  });

  it('shares keys with a second daemon, and hands its own over at once when it is told to stop', async () => {
    const [first] = daemons;
    await start();
    await until('two owners', async () => ((await ownersOf('Billing')).size === 2 ? true : null));
    first?.signal('SIGTERM');
    await first?.ended;
    const startedAt = performance.now();
    await placeForAll(1);
    await handledAll('Billing');
    assert.ok(performance.now() - startedAt < leaseTtlMs, 'nothing waits for a lease to run out');
    await assertInOrder();
  });

  it('goes on within the time to live when an owner is killed, in order and with each effect once', async () => {
    const second = daemons[1];
    await start();
    await until('two owners', async () => ((await ownersOf('Billing')).size === 2 ? true : null));
    for (const customer of customers) await place(customer, { slow: 300 });
    await placeForAll(2);
    second?.signal('SIGKILL');
    await second?.ended;
    const killedAt = performance.now();
    await handledAll('Billing');
    assert.ok(performance.now() - killedAt < leaseTtlMs + 5_000);
    await handledAll('Summary');
    await assertInOrder();
  });

  it('refuses an owner that was paused for longer than its lease: no second dead letter, no second effect', async () => {
    const paused = daemons[2];
    assert.ok(paused);
    const data = JSON.stringify({ customer: 'm', n: 1, poison: true, slow: 600 });
    const letters = 'shop::mail:m:dlq';
    await sql`select outbox_raise_event('MailAsked', 'mail', 'm1', ${data}::text::json)`;
    await place('c1', { slow: 600 });
    await Promise.all([paused.seen('mailing'), paused.seen('slow')]);
    paused.signal('SIGSTOP');
    try {
      await start();
      await until('a dead letter', async () => ((await redis.cli('XLEN', letters)) === 1 ? true : null));
      await handledAll('Billing');
    } finally {
      paused.signal('SIGCONT');
    }
    await paused.seen('delivery.disowned');
    await placeForAll(1);
    await handledAll('Billing');
    assert.equal(await redis.cli('XLEN', letters), 1);
    await assertInOrder();
  });

  it('stands still behind a message that is given up, until somebody skips it or moves it to the dead letters', async () => {
    await place('c2', { poison: true });
    const skipped = sent;
    await place('c2');
    await place('c3', { poison: true });
    const moved = sent;
    await place('c3');
    const blocked = await until('two that stand still', async () => {
      const found = await partitions('--blocked');
      return found.length === 2 ? found : null;
    });
    assert.deepEqual(
      blocked.map(({ handler, key, blocked }) => [handler, key, blocked?.error_message]),
      [
        ['Billing', 'c2', 'no stock'],
        ['Billing', 'c3', 'no stock'],
      ],
    );
    assert.equal((await command('subscriptions', 'skip', 'Billing', 'c2')).code, 0);
    assert.equal((await command('subscriptions', 'dlq', 'Billing', 'c3')).code, 0);
    const again = await command('subscriptions', 'skip', 'Billing', 'c2');
    assert.equal(again.code, 1);
    assert.match(again.err, /Billing: the partition "c2" does not stand still/);
    await until('the ones behind them', async () => {
      const handled = new Set((await effects('Billing')).map(({ n }) => n));
      return handled.has(skipped + 1) && handled.has(moved + 1) ? true : null;
    });
    assert.deepEqual(await partitions('--blocked'), []);
    const { dead_letters: letters } = (await command('dlq', 'list')).json<{
      readonly dead_letters: readonly { readonly handler: string }[];
    }>();
    assert.equal(letters.filter(({ handler }) => handler === 'Billing').length, 1);
    assert.ok(!(await effects('Billing')).some(({ n }) => n === skipped || n === moved));
    await assertInOrder();
  });
});
