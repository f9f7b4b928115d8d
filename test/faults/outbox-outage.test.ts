import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Daemon } from '../support/daemon.ts';
import { judge, raising } from '../support/ordered-writers.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { RelayProcesses } from '../support/relay-processes.ts';
import { relayProcesses } from '../support/relay-processes.ts';
import { until } from '../support/until.ts';

const outageMs = 20_000;
const count = 100;

describe('a Redis that is away for twenty seconds', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let relays: RelayProcesses;
  let relay: Daemon;
  let url = '';

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql({ own: true }), startRedis({ appendonly: true })]);
    url = await postgresql.createDatabase();
    relays = await relayProcesses(url, redis.url, 1);
    relay = relays.start();
    await relay.seen('daemon.ready');
  });
  after(async () => {
    await relays?.stop();
    await redis?.stop();
    await postgresql?.stop();
  });

  const length = async () => Number(await redis.cli('XLEN', 'bookshelf::order'));

  const ways: readonly (readonly [string, () => Promise<void>, () => Promise<void>])[] = [
    ['paused', async () => redis.pause(), async () => redis.resume()],
    ['killed, and started again', () => redis.kill(), () => redis.restart()],
  ];
  for (const [round, [way, begin, end]] of ways.entries()) {
    it(`is waited out where it was ${way}: nothing is counted, and all is published within two seconds`, async (test) => {
      const aggregate = `a${round}`;
      await postgresql.psql(url, raising(aggregate, 1, count));
      await until('all before the outage', async () => ((await length()) >= count ? true : null));
      const before = await length();
      await begin();
      await postgresql.psql(url, raising(aggregate, count + 1, 2 * count));
      await delay(outageMs);
      const counted = "select count(*) from outbox where status in ('failed', 'abandoned') or retry_count > 0";
      assert.equal((await postgresql.psql(url, counted)).trim(), '0');
      await end();
      const backAt = performance.now();
      await until('all after the outage', async () => ((await length()) >= before + count ? true : null));
      const tookMs = Math.round(performance.now() - backAt);
      test.diagnostic(`published ${tookMs} ms after its return`);
      assert.ok(tookMs < 2_000, `${tookMs} ms`);
      await until('an empty outbox', async () => {
        const waiting = await postgresql.psql(url, "select count(*) from outbox where status <> 'published'");
        return waiting.trim() === '0' ? true : null;
      });
      const entries = (await redis.cli('XRANGE', 'bookshelf::order', '-', '+')) as readonly [
        string,
        readonly string[],
      ][];
      const arrived = entries.map(([, fields]) => String(JSON.parse(fields[1] ?? '').data.at));
      const ours = arrived.filter((each) => each.startsWith(`${aggregate}:`));
      const { inversions, missing } = judge(ours, new Map([[aggregate, 2 * count]]));
      assert.deepEqual({ inversions, missing }, { inversions: [], missing: [] });
      assert.equal((await postgresql.psql(url, counted)).trim(), '0');
    });
  }
});
