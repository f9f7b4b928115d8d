import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Daemon, LogLine } from '../support/daemon.ts';
import { startDaemon } from '../support/daemon.ts';
import { parsePrometheus } from '../support/prometheus-text.ts';
import { until } from '../support/until.ts';

const toml = `name = "crew"
enable_outbox = true
[databases.default]
provider = "memory"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
[server]
workers = 2
drain_timeout_seconds = 20
stall_report_seconds = 0.3
stall_exit_seconds = 0
[server.health]
port = 0
[server.ingress]
enabled = true
port = 0
[logging]
format = "json"
level = "info"
`;

const handlers = `import { commandHandler } from 'domaind';
export const Crew = commandHandler({ category: 'crew', handles: {
  Well: (_, ctx) => { ctx.log.info('well'); },
  Stay: () => new Promise((resolve) => setTimeout(resolve, 300_000)),
  Hold: () => { const until = performance.now() + 3_000; while (performance.now() < until); },
} });
`;

/** Three processes that load TypeScript, on a machine that is busy with other tests. */
const startWithinMs = 90_000;

interface Lives {
  readonly status: string;
  readonly workers: Readonly<
    Record<string, { readonly state: string; readonly restarts: number; readonly handler?: string }>
  >;
}

describe('a daemon of several processes', () => {
  let folder = '';
  const daemons: Daemon[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-workers-'));
    await mkdir(join(folder, 'handlers'));
    await writeFile(join(folder, 'domain.toml'), toml);
    await writeFile(join(folder, 'handlers', 'crew.mjs'), handlers);
  });
  after(async () => {
    for (const daemon of daemons) daemon.signal('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  async function start(...options: readonly string[]) {
    const daemon = startDaemon(['server', '--config', join(folder, 'domain.toml'), ...options], {});
    daemons.push(daemon);
    const address = await daemon.health();
    const ready = () => daemon.lines.filter(({ msg }) => msg === 'daemon.ready');
    await until('both ready', async () => (ready().length >= 2 ? true : null), startWithinMs);
    const pids = () =>
      daemon.lines.filter(({ msg }) => msg === 'worker.started').map((line) => [line['worker'], line['pid'] as number]);
    const port = daemon.lines.find(({ msg, server }) => msg === 'http.listening' && server === 'ingress')?.['port'];
    const send = (type: string) =>
      fetch(`http://127.0.0.1:${String(port)}/commands/crew/${type}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close' },
        body: '{}',
      });
    const ask = async (path: string) => {
      const answer = await fetch(`${address}${path}`);
      return { status: answer.status, body: (await answer.json()) as Lives };
    };
    return { daemon, address, pids, send, ask };
  }

  const handledIn = async (address: string): Promise<number> => {
    const text = await (await fetch(`${address}/metrics`)).text();
    const samples = parsePrometheus(text).get('domaind_messages_handled_total')?.samples ?? [];
    return samples.filter(({ labels }) => labels.get('outcome') === 'ok').reduce((sum, { value }) => sum + value, 0);
  };

  it('is asked at one address, restarts the one that crashes, forgets no count, and drains side by side', async () => {
    const { daemon, address, pids, send, ask } = await start();
    assert.deepEqual((await ask('/livez')).body, {
      status: 'ok',
      workers: { 1: { state: 'ok', restarts: 0 }, 2: { state: 'ok', restarts: 0 } },
    });
    assert.equal((await ask('/readyz')).status, 200);
    assert.equal((await ask('/startupz')).status, 200);
    const warnings = daemon.lines.filter(({ msg }) => msg === 'config.warned').map((line) => String(line['warning']));
    assert.ok(warnings.includes('[brokers.default] is in memory: each of several worker processes has its own'));
    for (let count = 0; count < 8; count += 1) assert.equal((await send('Well')).status, 202);
    const wrote = (number: number) =>
      daemon.lines.filter(({ msg, worker }) => msg === 'well' && worker === number).length;
    await until('all handled', async () => (wrote(1) + wrote(2) === 8 ? true : null));
    assert.ok(wrote(1) > 0 && wrote(2) > 0, 'both take messages');
    await until('all counted', async () => ((await handledIn(address)) === 8 ? true : null));

    const [, second] = pids();
    process.kill(Number(second?.[1]), 'SIGKILL');
    const end = await daemon.seen('worker.ended');
    assert.deepEqual([end['worker'], end['signal']], [2, 'SIGKILL']);
    assert.equal((await ask('/livez')).status, 200, 'the other one lives');
    await until(
      'it is back',
      async () => ((await ask('/livez')).body.workers[2]?.state === 'ok' ? true : null),
      startWithinMs,
    );
    assert.deepEqual((await ask('/livez')).body.workers[2], { state: 'ok', restarts: 1 });
    assert.equal(await handledIn(address), 8, 'what the dead one counted stays');
    const text = await (await fetch(`${address}/metrics`)).text();
    assert.match(text, /domaind_worker_restarts_total\{worker="2"\} 1/);

    daemon.signal('SIGTERM');
    assert.deepEqual(await daemon.ended, { code: 0, signal: null });
    const stopped = daemon.lines.filter(({ msg }) => msg === 'daemon.stopped').map((line: LogLine) => line['worker']);
    assert.deepEqual(stopped.sort(), [1, 2]);
    assert.equal(daemon.output().match(/HANDLER/g)?.length, 1, 'one banner');
  });

  it('names the one whose event loop stands still, and its handler, and lives on', async () => {
    const { daemon, send, ask } = await start();
    await send('Hold');
    const { body, status } = await until('a standstill', async () => {
      const live = await ask('/livez');
      return Object.values(live.body.workers).some(({ handler }) => handler === 'Crew') ? live : null;
    });
    assert.deepEqual([status, body.status], [200, 'degraded']);
    assert.equal((await ask('/readyz')).status, 503);
    await until('all well', async () => ((await ask('/livez')).body.status === 'ok' ? true : null));
    daemon.signal('SIGTERM');
    assert.equal((await daemon.ended).code, 0);
  });

  it('leaves within two seconds of a second signal', async () => {
    const { daemon, send, pids } = await start();
    await send('Stay');
    await until('it is in hand', async () => {
      const text = await (await fetch(`${await daemon.health()}/metrics`)).text();
      return /domaind_messages_in_flight\{handler="Crew"\} 1/.test(text) ? true : null;
    });
    daemon.signal('SIGTERM');
    await daemon.seen('daemon.draining');
    const from = performance.now();
    daemon.signal('SIGTERM');
    assert.deepEqual(await daemon.ended, { code: 143, signal: null });
    assert.ok(performance.now() - from < 3_000);
    for (const [, pid] of pids()) {
      await until('it is gone', async () => (exists(Number(pid)) ? null : true), 3_000);
    }
  });

  it('with --watch, starts again when a handler changes', async () => {
    const { daemon } = await start('--watch');
    const before = daemon.lines.length;
    await writeFile(join(folder, 'handlers', 'crew.mjs'), `${handlers}\n`);
    await until(
      'ready again',
      async () => (daemon.lines.slice(before).filter(({ msg }) => msg === 'daemon.ready').length >= 2 ? true : null),
      startWithinMs,
    );
    daemon.signal('SIGTERM');
    assert.equal((await daemon.ended).code, 0);
  });

  it('ends with the code of a start that cannot succeed', async () => {
    await writeFile(join(folder, 'bad.toml'), toml.replace('path = "handlers"', 'path = "nowhere"'));
    const daemon = startDaemon(['server', '--config', join(folder, 'bad.toml')], {});
    daemons.push(daemon);
    assert.deepEqual(await daemon.ended, { code: 78, signal: null });
  });
});

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
