import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { reshard } from '../../src/outbox/schema/reshard.ts';
import { configOf } from '../support/config-folder.ts';
import { judge, raising, write } from '../support/ordered-writers.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Relays } from '../support/relays.ts';
import { startRelays } from '../support/relays.ts';
import { until } from '../support/until.ts';

const sound = { inversions: [], missing: [] };

describe('the order of a stream', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
  });
  after(async () => {
    await redis?.stop();
    await postgresql?.stop();
  });

  async function given(shards: number) {
    await redis.cli('FLUSHALL');
    const url = await postgresql.createDatabase();
    const database = aDatabase(url);
    await setUp(database, { externalBrokers: [], shards });
    const config: Config = await configOf(`
      name = "bookshelf"
      enable_outbox = true
      [databases.default]
      provider = "postgresql"
      database_uri = "${url}"
      [brokers.default]
      provider = "redis"
      URI = "${redis.url}"
      socket_timeout = 2
      [outbox]
      messages_per_tick = 20
      lease_ttl_seconds = 3
    `);
    const started: Relays[] = [];
    return {
      url,
      database,
      async start() {
        const relays = await startRelays(config);
        started.push(relays);
        return relays;
      },
      async published(count: number): Promise<readonly string[]> {
        await until(`${count} entries`, async () =>
          Number(await redis.cli('XLEN', 'bookshelf::order')) >= count ? true : null,
        );
        await until('an empty outbox', async () => {
          const waiting = await postgresql.psql(url, "select count(*) from outbox where status <> 'published'");
          return waiting.trim() === '0' ? true : null;
        });
        const entries = (await redis.cli('XRANGE', 'bookshelf::order', '-', '+')) as readonly [
          string,
          readonly string[],
        ][];
        return entries.map(([, fields]) => String(JSON.parse(fields[1] ?? '').data.at));
      },
      async stop() {
        await Promise.all(started.map((relays) => relays.stop()));
        await database.close();
      },
    };
  }

  it('is that in which one transaction raised two hundred events', async () => {
    const { url, start, published, stop } = await given(1);
    await start();
    await postgresql.psql(url, raising('a', 1, 200, true));
    const arrived = await published(200);
    assert.deepEqual(
      arrived,
      Array.from({ length: 200 }, (_, n) => `a:${n + 1}`),
    );
    await stop();
  });

  it('is that of the commits, and a late commit with an early id is not skipped', async () => {
    const { url, start, published, stop } = await given(1);
    await start();
    const late = postgresql.psql(
      url,
      `begin; ${raising('late', 1, 1)} select pg_sleep(1.5); ${raising('late', 2, 2)} commit;`,
    );
    await until('the late one has its id', async () => {
      const [last] = (await postgresql.psql(url, 'select last_value from outbox_id_seq where is_called'))
        .trim()
        .split('\n');
      return last ? true : null;
    });
    await postgresql.psql(url, raising('early', 1, 20));
    await published(20);
    await late;
    const arrived = await published(22);
    assert.deepEqual(arrived.slice(20), ['late:1', 'late:2']);
    assert.deepEqual(
      arrived.slice(0, 20),
      Array.from({ length: 20 }, (_, n) => `early:${n + 1}`),
    );
    await stop();
  });

  it('holds with several writers and replicas that come and go', async () => {
    const { url, start, published, stop } = await given(4);
    const first = await start();
    await start();
    const writing = write(postgresql, url, { aggregates: 12, each: 80, writers: 3 });
    await published(200);
    await Promise.all([first.stop(), start()]);
    const committed = await writing;
    const { duplicates, ...findings } = judge(await published(12 * 80), committed);
    assert.deepEqual({ ...findings, duplicates }, { ...sound, duplicates: 0 });
    await stop();
  });

  it('holds while the outbox is cut into more and into fewer shards', async () => {
    const { url, database, start, published, stop } = await given(2);
    const replicas = [await start(), await start()];
    const writing = write(postgresql, url, { aggregates: 12, each: 80, writers: 3 });
    for (const [at, shards] of [4, 1, 3].entries()) {
      await published(100 * (at + 1));
      await reshard(database, shards);
    }
    const { duplicates, ...findings } = judge(await published(12 * 80), await writing);
    assert.deepEqual({ ...findings, duplicates }, { ...sound, duplicates: 0 });
    await until('both replicas have noticed', async () =>
      replicas.every(({ events }) => events.count('outbox.resharded') >= 1) ? true : null,
    );
    assert.ok(replicas.every(({ events }) => events.count('loop.failed') === 0));
    await stop();
  });
});
