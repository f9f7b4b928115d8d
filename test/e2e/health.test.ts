import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Daemon } from '../support/daemon.ts';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

interface Asked {
  readonly status: number;
  readonly tookMs: number;
  readonly body: { readonly status: string; readonly event_loop?: object; readonly checks?: Record<string, object> };
}

async function ask(address: string, path: string): Promise<Asked> {
  const from = performance.now();
  const answer = await fetch(`${address}${path}`);
  const body = (await answer.json()) as Asked['body'];
  return { status: answer.status, tookMs: performance.now() - from, body };
}

/** The quickest of three: a busy machine may hold up any one of them. */
async function askQuickly(address: string, path: string): Promise<Asked> {
  const all = [await ask(address, path), await ask(address, path), await ask(address, path)];
  return all.reduce((best, each) => (each.tookMs < best.tookMs ? each : best));
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

const toml = `name = "held"
enable_outbox = true
[databases.default]
provider = "memory"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
[server]
stall_report_seconds = 0.3
stall_exit_seconds = 0
[server.health]
port = 0
[server.ingress]
enabled = true
port = 0
[logging]
format = "json"
`;

const handlers = `import { commandHandler } from 'domaind';
export const Billing = commandHandler({ category: 'bill', handles: {
  Hold: () => { const until = performance.now() + 3_000; while (performance.now() < until); },
} });
`;

describe('the health of a daemon whose handler keeps the event loop busy', () => {
  let folder = '';
  let daemon: Daemon;
  let address = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-health-'));
    await mkdir(join(folder, 'handlers'));
    await writeFile(join(folder, 'domain.toml'), toml);
    await writeFile(join(folder, 'handlers', 'billing.mjs'), handlers);
    daemon = startDaemon(['server', '--config', join(folder, 'domain.toml')], {});
    address = await daemon.health();
    await daemon.seen('daemon.ready');
  });
  after(async () => {
    daemon.signal('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  it('is told while it does, with the name of the handler, and is well again when it has gone on', async () => {
    assert.equal((await ask(address, '/livez')).status, 200);
    const before = await (await fetch(`${address}/metrics`)).text();
    const ingress = daemon.lines.find(({ msg, server }) => msg === 'http.listening' && server === 'ingress')?.['port'];
    const sent = fetch(`http://127.0.0.1:${String(ingress)}/commands/bill/Hold`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    const stalled = await until('a standstill', async () => {
      const live = await askQuickly(address, '/livez');
      return live.status === 503 && JSON.stringify(live.body).includes('Billing') ? live : null;
    });
    const { event_loop, ...rest } = stalled.body;
    assert.deepEqual(rest, { status: 'stalled' });
    assert.deepEqual(
      { ...event_loop, stalled_seconds: 'some' },
      { stalled_seconds: 'some', handler: 'Billing', message_type: 'Held.Hold.v1' },
    );
    assert.ok(stalled.tookMs < 100, `took ${stalled.tookMs} ms`);
    const ready = await askQuickly(address, '/readyz');
    assert.deepEqual([ready.status, ready.body.status], [503, 'stalled']);
    assert.ok(ready.tookMs < 100, `took ${ready.tookMs} ms`);
    assert.ok(before.includes('domaind_build_info'));
    await sent;
    await until('all well', async () => ((await ask(address, '/livez')).status === 200 ? true : null));
    assert.equal((await ask(address, '/readyz')).status, 200);
  });
});

describe('the health of a daemon whose servers stand still', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let daemon: Daemon;
  let address = '';

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql({ own: true }), startRedis({})]);
    const config = fileURLToPath(new URL('../fixtures/e2e/domain.toml', import.meta.url));
    const environment = { DATABASE_URL: await postgresql.createDatabase(), REDIS_URL: redis.url };
    const setup = await runDomaind(['db', 'setup', '--config', config], environment);
    assert.equal(setup.code, 0, setup.err);
    daemon = startDaemon(['server', '--config', config], environment);
    address = await daemon.health();
    await daemon.seen('daemon.ready');
    await until('ready', async () => ((await ask(address, '/readyz')).status === 200 ? true : null));
  });
  after(async () => {
    daemon?.signal('SIGKILL');
    await redis?.stop();
    await postgresql?.stop();
  });

  it('is answered within 100 ms, and says which of them does not answer', async () => {
    const server = postgresql.pid() ?? 0;
    const stopped = [server, ...childrenOf(server)];
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    redis.pause();
    try {
      const seen = await until('both missed', async () => {
        const [live, ready] = [await askQuickly(address, '/livez'), await askQuickly(address, '/readyz')];
        assert.equal(live.status, 200);
        assert.ok(live.tookMs < 100 && ready.tookMs < 100, `took ${live.tookMs} and ${ready.tookMs} ms`);
        return ready.status === 503 ? ready : null;
      });
      assert.match(JSON.stringify(seen.body.checks), /unreachable/);
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
      redis.resume();
    }
    await until('ready again', async () => ((await ask(address, '/readyz')).status === 200 ? true : null));
  });
});
