import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = process.env['DOMAIND_TEST_ENTRY'];
const entry = built ? [built] : ['--conditions=domaind-source', '--import', 'tsx', `${root}src/main.ts`];

const toml = (health: number, ingress: number) => `name = "mute"
enable_outbox = true
[databases.default]
provider = "memory"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
[server.health]
port = ${health}
[server.ingress]
enabled = true
port = ${ingress}
[logging]
format = "json"
level = "debug"
`;

/** Each message says more than a pipe holds. */
const handlers = `import { commandHandler } from 'domaind';
export const Chatter = commandHandler({ category: 'talk', handles: {
  Say: (_, ctx) => { for (let line = 0; line < 40; line += 1) ctx.log.info('x'.repeat(4_000)); },
} });
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('a daemon whose log cannot be written', { concurrency: 2 }, () => {
  let folder = '';
  const children: ChildProcess[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-mute-'));
    await mkdir(join(folder, 'handlers'));
    await writeFile(join(folder, 'handlers', 'chatter.mjs'), handlers);
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  /** Its handled messages and dropped lines, when it has handled `count`; then how it ends. */
  async function work(name: string, stderr: 'pipe' | number, options: readonly string[], count: number) {
    const [health, ingress] = [await freePort(), await freePort()];
    const file = join(folder, `${name}.toml`);
    await writeFile(file, toml(health, ingress));
    const child = spawn(process.execPath, [...entry, 'server', '--config', file, ...options], {
      cwd: root,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'ignore', stderr],
    });
    children.push(child);
    const ended = once(child, 'exit');
    const ask = (path: string) => fetch(`http://127.0.0.1:${health}${path}`);
    await until(`${name} to be ready`, async () => {
      const answer = await ask('/readyz').catch(() => null);
      return answer?.status === 200 ? true : null;
    });
    for (let sent = 0; sent < count; sent += 1) {
      const answer = await fetch(`http://127.0.0.1:${ingress}/commands/talk/Say`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
      assert.equal(answer.status, 202);
    }
    const metrics = await until('all handled', async () => {
      const text = await (await ask('/metrics')).text();
      const handled = [...text.matchAll(/^domaind_messages_handled_total\{.*outcome="ok"\} (\d+)/gm)];
      return handled.reduce((sum, [, each]) => sum + Number(each), 0) >= count ? text : null;
    });
    assert.equal((await ask('/livez')).status, 200);
    child.kill('SIGTERM');
    const [code] = await ended;
    const [, dropped] = /^domaind_log_lines_dropped_total (\d+)/m.exec(metrics) ?? [];
    return { code, dropped: Number(dropped) };
  }

  it('as nobody reads it, works on, counts what it drops, and ends', async () => {
    const { code, dropped } = await work('unread', 'pipe', [], 60);
    assert.equal(code, 0);
    assert.ok(dropped > 0);
  });

  it('as the disk is full, works on, counts what it drops, and ends', async () => {
    const full = openSync('/dev/full', 'w');
    const { code, dropped } = await work('full', full, [], 5);
    closeSync(full);
    assert.equal(code, 0);
    assert.ok(dropped > 0);
  });

  it('does so as several processes', async () => {
    const { code } = await work('several', 'pipe', ['--workers', '2'], 60);
    assert.equal(code, 0);
  });
});
