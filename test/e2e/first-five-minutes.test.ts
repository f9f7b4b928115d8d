import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Terminal } from '../support/terminal.ts';
import { openTerminal } from '../support/terminal.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The lines that README lets one paste, block by block. */
const [beginning = [], messages = [], onServers = []] = [
  ...(/## The first five minutes\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? '').matchAll(/```sh\n([\s\S]*?)```/g),
].map(([, text = '']) => text.trim().split('\n'));

const built = process.env['DOMAIND_TEST_ENTRY'];
const tsx = join(root, 'node_modules/tsx/dist/esm/index.mjs');
const entry = built ? `"${built}"` : `--conditions=domaind-source --import "${tsx}" "${root}src/main.ts"`;

describe('the first five minutes of README', () => {
  let folder: string;
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let ingress: number;
  let one: Terminal;
  let other: Terminal;

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis({ appendonly: true })]);
    folder = mkdtempSync(join(tmpdir(), 'domaind-five-minutes-'));
    // What `npm link` would put on the PATH.
    writeFileSync(join(folder, 'domaind'), `#!/bin/sh\nexec "${process.execPath}" ${entry} "$@"\n`);
    chmodSync(join(folder, 'domaind'), 0o755);
    ingress = await freePort();
    const environment = {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      HEALTH_PORT: '0',
      INGRESS_PORT: String(ingress),
      DATABASE_URL: await postgresql.createDatabase(),
      REDIS_URL: redis.url,
      NO_COLOR: '1',
    };
    one = openTerminal(folder, environment);
    other = openTerminal(folder, environment);
  });
  after(async () => {
    await Promise.all([one.close(), other.close()]);
    await Promise.all([postgresql.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Pastes a line, and answers what was printed until its end, and its exit code. */
  let count = 0;
  async function paste(terminal: Terminal, line: string): Promise<string> {
    count += 1;
    terminal.type(`${line}; echo "end-${count}=$?"`);
    const text = await terminal.sees(new RegExp(`end-${count}=(\\d+)\\n`));
    assert.match(text, new RegExp(`end-${count}=0\\n`), `${line}\n${text}`);
    return text;
  }

  it('make a domain, check it and run it', async () => {
    assert.deepEqual(beginning, ['domaind init bookshop && cd bookshop', 'domaind check', 'domaind dev']);
    assert.match(await paste(one, beginning[0] ?? ''), /wrote the domain bookshop:\n +bookshop\/README\.md\n/);
    assert.match(await paste(one, beginning[1] ?? ''), /domain\.toml: sound, with 2 handlers/);
    one.type(beginning[2] ?? '');
    const banner = await one.sees(/daemon\.ready/);
    assert.match(banner, /^Letters +bookshop::order +stream +- +bookshop\.Letters$/m);
    assert.match(banner, /^Orders +bookshop::order:command +stream +- +bookshop\.Orders$/m);
    assert.match(banner, /Send a message from another terminal:/);
  });

  it('send a message, and see one fail', async () => {
    const [good = '', bad = ''] = messages.map((line) => line.replace(':8081/', `:${ingress}/`));
    assert.match(await paste(other, good), /"message_id":"[0-9a-f-]{36}"/);
    await one.sees(/a letter goes out/);
    await paste(other, bad);
    assert.match(await one.sees(/Nobody has no address/), /Letters/);
    one.interrupt();
    await one.sees(/daemon\.stopped/);
  });

  it('bring back on real servers what was given up', async () => {
    const printed = new Map<string, string>();
    for (const line of onServers) printed.set(`${printed.size} ${line}`, await paste(one, line));
    const of = (line: string) => [...printed].filter(([each]) => each.includes(line)).map(([, text]) => text);
    assert.match(of('db setup')[0] ?? '', /database "default", schema "public": set up/);
    assert.match(of('doctor')[0] ?? '', /all is well/);
    assert.match(of('dlq list')[0] ?? '', /1 dead letter[\s\S]*Letters[\s\S]*NonRetryable/);
    assert.match(of('explain')[0] ?? '', /Letters gave it up/);
    assert.match(of('dlq replay')[0] ?? '', /1/);
    const status = of('domaind status')[0] ?? '';
    assert.match(status, /no dead letters/);
    assert.match(status, /^Letters +0 +- +0 +- +bookshop::order$/m);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
