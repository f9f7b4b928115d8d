import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumingDaemons } from '../support/consuming-daemons.ts';
import { consumingDaemons } from '../support/consuming-daemons.ts';
import type { Daemon } from '../support/daemon.ts';
import { runDomaind } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

/** The search for the dead is much shorter than what the handlers take, or than they are stopped for. */
const settings = 'min_idle_ms = 1500\nheartbeat_interval_ms = 400\nreclaim_interval_ms = 400\nmax_retries = 1';
const stoppedMs = 5_000;

const handle = `
  if (payload.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, 6_000));
  if (payload.kind === 'effect') {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await ctx.sql\`insert into effects (n) values (\${payload.n})\`;
  }
  if (payload.kind === 'open') {
    await ctx.sql\`insert into effects (n) values (\${payload.n})\`;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  if (payload.kind === 'poison') {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    throw new Error('always');
  }
`;

describe('two consumers of which one is slow or stopped for longer than min_idle_ms', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let url = '';
  let jobs: ConsumingDaemons;
  let daemons: readonly Daemon[];
  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
  });
  after(async () => {
    await redis?.stop();
    await postgresql?.stop();
  });
  beforeEach(async () => {
    await redis.cli('FLUSHALL');
    url = await postgresql.createDatabase();
    jobs = consumingDaemons({ redis, handle, settings, databaseUrl: url });
    assert.deepEqual((await runDomaind(['db', 'setup', '--config', jobs.config])).code, 0);
    await postgresql.psql(url, 'create table effects (n int)');
    daemons = [jobs.start(), jobs.start()];
    await Promise.all(daemons.map((each) => each.seen('daemon.ready')));
  });
  afterEach(() => jobs.end());

  const through = () => until('everything handled', async () => ((await jobs.isThrough()) ? true : null), 60_000);
  const effects = async () =>
    (await postgresql.psql(url, 'select n, count(*) from effects group by n order by n')).trim();
  /** Stops the daemon that has begun with the message, and lets it go on. */
  async function pauseWhoHas(n: number): Promise<void> {
    const { pid } = await until('its start', async () => jobs.steps().find((step) => step.n === n) ?? null);
    await delay(200);
    const daemon = daemons.find((each) => each.pid === pid);
    assert.ok(daemon);
    daemon.signal('SIGSTOP');
    await delay(stoppedMs);
    daemon.signal('SIGCONT');
  }

  it('handle a message once that takes four times as long', async () => {
    await jobs.publish([1, 2, 3, 4], { kind: 'slow' });
    await through();
    const started = jobs.steps().filter(({ what }) => what === 'started');
    assert.deepEqual(
      started.map(({ n, attempt }) => [n, attempt]).sort(),
      [1, 2, 3, 4].map((n) => [n, 1]),
    );
    assert.equal(await jobs.deadLetters(), 0);
  });

  for (const kind of ['effect', 'open']) {
    it(`have one effect where the one that was stopped ${kind === 'open' ? 'had its transaction open' : 'wrote afterwards'}`, async () => {
      await jobs.publish([1], { kind });
      await pauseWhoHas(1);
      await through();
      await until('the effect', async () => ((await effects()) === '1|1' ? true : null));
      await delay(1_500);
      assert.equal(await effects(), '1|1');
      assert.equal(await jobs.deadLetters(), 0);
      assert.equal(new Set(jobs.steps().map(({ pid }) => pid)).size, 2);
    });
  }

  it('write one dead letter', async () => {
    await jobs.publish([1], { kind: 'poison' });
    await pauseWhoHas(1);
    await through();
    await delay(1_500);
    assert.equal(await jobs.deadLetters(), 1);
    assert.equal(new Set(jobs.steps().map(({ pid }) => pid)).size, 2);
  });
});
