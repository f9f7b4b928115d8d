import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Daemon } from '../support/daemon.ts';
import { startDaemon } from '../support/daemon.ts';
import type { Pgbouncer } from '../support/pgbouncer.ts';
import { startPgbouncer } from '../support/pgbouncer.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const toml = (direct: string): string => `
name = "bookshelf"
enable_outbox = true
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
${direct}
pool_size = 3
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[server]
default_subscription_type = "stream"
default_subscription_profile = "production"
[server.health]
port = 0
`;

const handlers = `import { eventHandler } from 'domaind';
export const Shipping = eventHandler({
  category: 'order',
  handles: { OrderPlaced: async ({ data }, ctx) => { await ctx.sql\`insert into shipped (n) values (\${data.n})\`; } },
});
`;

/** Enough for every statement to go over every connection of the pooler. */
const count = 400;

describe('a daemon behind PgBouncer in transaction mode', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let pooler: Pgbouncer;
  let direct: string;
  let folder: string;
  const daemons: Daemon[] = [];

  const environment = () => ({ DATABASE_URL: pooler.url, REDIS_URL: redis.url });
  const start = (directUri = ''): Daemon => {
    writeFileSync(join(folder, 'domain.toml'), toml(directUri));
    const daemon = startDaemon(['server', '--config', join(folder, 'domain.toml')], environment());
    daemons.push(daemon);
    return daemon;
  };

  /** As an application behind the same pooler writes them, each in a transaction of its own. */
  const raise = async (from: number, to: number) => {
    const statements = Array.from(
      { length: to - from },
      (_, n) =>
        `select outbox_raise_event('OrderPlaced', 'order', 'o-${(from + n) % 20}', '{"n":${from + n}}'::json) is not null;`,
    );
    await postgresql.psql(pooler.url, statements.join('\n'));
  };
  const shipped = async () => Number((await postgresql.psql(direct, 'select count(*) from shipped')).trim());

  const hints = async (daemon: Daemon): Promise<unknown> => {
    const answer = await fetch(`${await daemon.health()}/readyz`);
    assert.equal(answer.status, 200);
    const { checks } = (await answer.json()) as { checks: { wake_up_hints: unknown } };
    return checks.wake_up_hints;
  };

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
    direct = await postgresql.createDatabase();
    const database = aDatabase(direct);
    await setUp(database, { externalBrokers: [], shards: 2 });
    await database.close();
    await postgresql.psql(direct, 'create table shipped (n integer)');
    pooler = await startPgbouncer(direct);
    folder = mkdtempSync(join(tmpdir(), 'domaind-pooled-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'handlers/shipping.js'), handlers);
  });

  after(async () => {
    for (const daemon of daemons) daemon.signal('SIGTERM');
    await Promise.all(daemons.map(({ ended }) => ended));
    await pooler.stop();
    await Promise.all([redis.stop(), postgresql.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('carries and handles every message once, and says that nobody wakes its relay', async () => {
    const daemon = start();
    await daemon.seen('daemon.ready');
    const line = await daemon.seen('hint.lost');
    assert.equal(line['database'], 'default');
    assert.deepEqual(await hints(daemon), { default: 'lost' });

    await raise(0, count);
    await until('all messages handled', async () => ((await shipped()) >= count ? true : null));
    assert.equal(await shipped(), count);
    assert.equal(
      (await postgresql.psql(direct, "select count(*) from outbox where status <> 'published'")).trim(),
      '0',
    );
    assert.deepEqual(
      daemon.lines.filter(({ level }) => level === 'error' || level === 50),
      [],
    );
    daemon.signal('SIGTERM');
    assert.deepEqual(await daemon.ended, { code: 0, signal: null });
  });

  it('is woken where a direct address is given', async () => {
    const daemon = start(`direct_uri = "${direct}"`);
    await daemon.seen('hint.ready');
    assert.deepEqual(await hints(daemon), { default: 'ok' });
    const before = await shipped();
    await raise(count, count + 1);
    await until('the message handled', async () => ((await shipped()) === before + 1 ? true : null));
  });
});
