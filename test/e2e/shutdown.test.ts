import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Daemon } from '../support/daemon.ts';
import { startDaemon } from '../support/daemon.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const toml = `name = "shutdown"
[databases.default]
provider = "memory"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[server]
drain_timeout_seconds = 1
[server.broker_subscription]
min_idle_ms = 3000
reclaim_interval_ms = 500
[server.health]
port = 0
[logging]
format = "json"
level = "debug"
`;

/** Takes as many milliseconds as its message says, and does not listen to its signal. */
const handler = `import { subscriber } from 'domaind';
export const Slow = subscriber({ stream: 'work', handle: ({ ms }, ctx) => {
  ctx.log.info('begun', { attempt: ctx.attempt, ms });
  return new Promise((resolve) => setTimeout(resolve, ms));
} });`;

describe('a daemon that is told to stop', () => {
  let redis: RedisServer;
  let folder = '';
  const daemons: Daemon[] = [];

  before(async () => {
    redis = await startRedis();
    folder = await mkdtemp(join(tmpdir(), 'domaind-shutdown-'));
    await mkdir(join(folder, 'handlers'));
    await writeFile(join(folder, 'domain.toml'), toml);
    await writeFile(join(folder, 'handlers', 'slow.mjs'), handler);
  });
  after(async () => {
    for (const daemon of daemons) daemon.signal('SIGKILL');
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function working(ms: number): Promise<Daemon> {
    const daemon = startDaemon(['server', '--config', join(folder, 'domain.toml')], { REDIS_URL: redis.url });
    daemons.push(daemon);
    await daemon.seen('daemon.ready');
    await redis.cli('XADD', 'work', '*', 'data', JSON.stringify({ ms }));
    await daemon.seen('begun');
    return daemon;
  }

  async function pending(): Promise<number> {
    const [count] = (await redis.cli('XPENDING', 'work', 'shutdown.Slow')) as readonly unknown[];
    return Number(count);
  }

  it('finishes what is in hand, acknowledges it and exits 0', async () => {
    const daemon = await working(400);
    daemon.signal('SIGTERM');
    assert.deepEqual(await daemon.ended, { code: 0, signal: null });
    assert.equal(await pending(), 0);
  });

  it('gives back at once what takes longer than the grace, counting no attempt, and exits 0', async () => {
    const daemon = await working(60_000);
    const from = performance.now();
    daemon.signal('SIGTERM');
    assert.deepEqual(await daemon.ended, { code: 0, signal: null });
    assert.ok(performance.now() - from < 4_000);
    const next = startDaemon(['server', '--config', join(folder, 'domain.toml')], { REDIS_URL: redis.url });
    daemons.push(next);
    assert.equal((await next.seen('begun'))['attempt'], 1);
    next.signal('SIGKILL');
    await next.ended;
    await redis.cli('DEL', 'work');
  });

  it('leaves within two seconds of a second signal, with the code of that signal', async () => {
    const daemon = await working(60_000);
    daemon.signal('SIGTERM');
    await daemon.seen('daemon.draining');
    const from = performance.now();
    daemon.signal('SIGTERM');
    assert.deepEqual(await daemon.ended, { code: 143, signal: null });
    assert.ok(performance.now() - from < 2_500);
  });
});
