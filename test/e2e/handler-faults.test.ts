import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Daemon } from '../support/daemon.ts';
import { startDaemon } from '../support/daemon.ts';
import { until } from '../support/until.ts';

const toml = `name = "faults"
enable_outbox = true
[databases.default]
provider = "memory"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
[server]
drain_timeout_seconds = 1
handler_timeout_seconds = 0.2
max_lingering_handlers = 1
stall_report_seconds = 0.4
stall_exit_seconds = 1.2
[server.stream_subscription]
max_retries = 1
[server.health]
port = 0
[server.ingress]
enabled = true
port = 0
[logging]
format = "json"
level = "debug"
`;

/** What handlers do to the process that runs them. */
const handlers = `import { commandHandler, subscriber } from 'domaind';
const shapes = {
  nothing: () => null,
  text: () => 's3cr3t-canary is no error',
  circular: () => { const error = new Error('circular'); error.cause = error; error.self = error; return error; },
  large: () => new Error('x'.repeat(10_000_000)),
  getters: () => Object.defineProperties(new Error('seen'), { message: { get() { throw new Error('no message'); } }, code: { get() { throw null; } } }),
  proxy: () => new Proxy(new Error('behind'), { get() { throw new Error('trap'); }, getPrototypeOf() { throw new Error('trap'); } }),
  bigint: () => 12345678901234567890n,
  symbol: () => Symbol('s'),
};
export const Faults = commandHandler({ category: 'fault', handles: {
  Exit: () => { process.exit(0); },
  Float: () => { Promise.reject(new Error('nobody awaits this')); },
  Late: () => { setTimeout(() => { throw new Error('nobody catches this'); }, 50); return new Promise((resolve) => setTimeout(resolve, 150)); },
  Loop: function endless() { for (;;); },
  Backtrack: function vicious() { return /(a+)+$/.test('a'.repeat(45) + '!'); },
  Linger: () => new Promise(() => undefined),
  Throw: ({ data }) => { throw shapes[data.shape](); },
  Well: (_, ctx) => { ctx.log.info('well'); },
} });
`;

describe('a handler that harms its process', { concurrency: 2 }, () => {
  let folder = '';
  const daemons: Daemon[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-faults-'));
    await mkdir(join(folder, 'handlers'));
    await writeFile(join(folder, 'domain.toml'), toml);
    await writeFile(join(folder, 'handlers', 'faults.mjs'), handlers);
  });
  after(async () => {
    for (const daemon of daemons) daemon.signal('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  async function start(): Promise<{ daemon: Daemon; send(type: string, data?: object): Promise<string> }> {
    const daemon = startDaemon(['server', '--config', join(folder, 'domain.toml')], {});
    daemons.push(daemon);
    await daemon.seen('daemon.ready');
    const port = daemon.lines.find(({ msg, server }) => msg === 'http.listening' && server === 'ingress')?.['port'];
    const send = async (type: string, data: object = {}) => {
      const answer = await fetch(`http://127.0.0.1:${String(port)}/commands/fault/${type}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(data),
      });
      assert.equal(answer.status, 202);
      return ((await answer.json()) as { readonly message_id: string }).message_id;
    };
    return { daemon, send };
  }

  it('by process.exit ends it with 70, and is named with its message', async () => {
    const { daemon, send } = await start();
    const id = await send('Exit');
    const line = await daemon.seen('process.faulted');
    assert.deepEqual(
      [line['what'], line['subscription'], line['message_id'], line['certain']],
      ['exit', 'Faults', id, true],
    );
    assert.match(JSON.stringify(line['err']), /process\.exit\(0\) was called.*faults\.mjs/);
    assert.deepEqual(await daemon.ended, { code: 70, signal: null });
  });

  it('by a rejection that nobody awaits drains it, ends it with 70, and is named with its message', async () => {
    const { daemon, send } = await start();
    const id = await send('Float');
    const line = await daemon.seen('process.faulted');
    assert.deepEqual([line['what'], line['subscription'], line['message_id']], ['rejection', 'Faults', id]);
    assert.deepEqual(await daemon.ended, { code: 70, signal: null });
    assert.ok(
      daemon.lines.some(({ msg }) => msg === 'daemon.stopped'),
      'it has drained',
    );
  });

  it('by an error of a timer drains it, ends it with 70, and is named with its message', async () => {
    const { daemon, send } = await start();
    const id = await send('Late');
    const line = await daemon.seen('process.faulted');
    assert.deepEqual([line['what'], line['subscription'], line['message_id']], ['exception', 'Faults', id]);
    assert.deepEqual(await daemon.ended, { code: 70, signal: null });
  });

  for (const [type, name] of [
    ['Loop', 'endless'],
    ['Backtrack', 'vicious'],
  ] as const) {
    it(`by keeping the event loop (${type}) is named with its line and its message, and ended with 70`, async () => {
      const { daemon, send } = await start();
      const id = await send(type);
      const line = await daemon.seen('loop.stalled');
      assert.deepEqual([line['subscription'], line['message_id'], line['exiting']], ['Faults', id, false]);
      assert.match(String(line['where']), new RegExp(`${name} file://.*faults\\.mjs:\\d+:\\d+`));
      assert.deepEqual(await daemon.ended, { code: 70, signal: null });
    });
  }

  it('by not ending when its time is up is counted, and past the limit the process drains and ends with 70', async () => {
    const { daemon, send } = await start();
    const ids = [await send('Linger'), await send('Linger')];
    assert.deepEqual(await daemon.ended, { code: 70, signal: null });
    const lines = daemon.lines.filter(({ msg }) => msg === 'handler.lingering');
    assert.deepEqual(
      lines.map((line) => line['lingering']),
      [1, 2],
    );
    assert.deepEqual(lines.map((line) => line['message_id']).sort(), ids.sort());
  });

  it('by no shape of its error: each is a dead letter, bounded, and the next message is handled', async () => {
    const { daemon, send } = await start();
    const shapes = ['nothing', 'text', 'circular', 'large', 'getters', 'proxy', 'bigint', 'symbol', 'unknown'];
    for (const shape of shapes) await send('Throw', { shape, secret: 'payload-canary' });
    await until('every dead letter', async () =>
      daemon.lines.filter(({ msg }) => msg === 'delivery.dead_lettered').length === shapes.length ? true : null,
    );
    await send('Well');
    await daemon.seen('well');
    const text = JSON.stringify(daemon.lines);
    assert.ok(!text.includes('payload-canary'), 'no payload');
    assert.ok(text.length < 500_000, `bounded: ${text.length}`);
    daemon.signal('SIGTERM');
    assert.equal((await daemon.ended).code, 0);
  });
});
