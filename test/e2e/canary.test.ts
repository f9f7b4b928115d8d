import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Daemon } from '../support/daemon.ts';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';
import { until } from '../support/until.ts';

const secret = 's3cr3t-canary-of-this-test';
const payload = 'p4yl0ad-canary';

const toml = `name = "shop"
enable_outbox = true
secret_key = "\${SECRET}"
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
socket_timeout = 2
[event_store]
provider = "memory"
[handlers]
path = "handlers"
[outbox]
tick_interval = 0.1
[server]
drain_timeout_seconds = 5
startup_timeout_seconds = 3
[server.stream_subscription]
max_retries = 1
retry_delay_seconds = 0.05
blocking_timeout_ms = 200
[server.health]
port = 0
[server.ingress]
enabled = true
port = 0
token = "\${SECRET}"
[custom]
api_token = "\${SECRET}"
[logging]
format = "json"
level = "debug"
slow_handler_threshold_ms = 20
`;

/** One of each fate: handled, slow, refused by the database with the value in its words, given up, never understood. */
const handlers = `import { commandHandler, subscriber } from 'domaind';
export const Notes = commandHandler({ category: 'note', handles: {
  Keep: async ({ data }, ctx) => { await ctx.sql\`insert into note (text) values (\${data.text})\`; ctx.log.info('kept'); },
  Wait: async () => { await new Promise((resolve) => setTimeout(resolve, 40)); },
  Give: async () => { throw new Error('not today'); },
} });
export const Outside = subscriber({ stream: 'outside', handle: async () => { throw new TypeError('not understood'); } });
`;

describe('secrets and payloads', () => {
  let folder = '';
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let environment: Record<string, string> = {};
  let daemon: Daemon;
  let said = '';
  const config = () => join(folder, 'domain.toml');

  /** Runs a command and keeps what it said. */
  async function domaind(...argv: readonly string[]) {
    const ran = await run([...argv, '--config', config()], { cwd: folder, environment });
    said += `\n$ ${argv.join(' ')}\n${ran.out}${ran.err}`;
    return ran;
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-canary-'));
    await mkdir(join(folder, 'handlers'));
    await writeFile(config(), toml);
    await writeFile(join(folder, 'handlers', 'notes.mjs'), handlers);
    [postgresql, redis] = await Promise.all([
      startPostgresql({ own: true }),
      startRedis({ args: ['--user', 'app', 'on', `>${secret}`, '~*', '&*', '+@all'] }),
    ]);
    const url = new URL(await postgresql.createDatabase());
    await postgresql.psql(url.href, `create role app login superuser password '${secret}'`);
    await postgresql.psql(url.href, 'create table note (text text primary key)');
    Object.assign(url, { username: 'app', password: secret });
    environment = {
      DATABASE_URL: url.href,
      REDIS_URL: `redis://app:${secret}@127.0.0.1:${redis.port}`,
      SECRET: secret,
    };
    const setup = await domaind('db', 'setup');
    assert.equal(setup.code, 0, setup.err);
    daemon = startDaemon(['server', '--config', config()], environment);
    await daemon.seen('daemon.ready');
  });
  after(async () => {
    daemon?.signal('SIGKILL');
    await redis?.stop();
    await postgresql?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const lines = (msg: string) => daemon.lines.filter((line) => line.msg === msg);

  it('are in nothing that a daemon, its endpoints and its commands say, whatever befalls them', async () => {
    const address = await daemon.health();
    const port = String(lines('http.listening').find(({ server }) => server === 'ingress')?.['port']);
    const post = async (path: string, body: string, token: string) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body });
      said += await answer.text();
      return answer.status;
    };
    const body = JSON.stringify({ text: payload, password: payload });
    for (const type of ['Keep', 'Keep', 'Wait', 'Give'])
      assert.equal(await post(`/commands/note/${type}`, body, secret), 202);
    assert.equal(await post('/streams/outside', body, secret), 202);
    assert.equal(await post('/commands/note/Keep', `{"text": ${payload}`, secret), 400);
    assert.equal(await post('/commands/note/Keep', body, `${secret}-wrong`), 401);
    await redis.cli('xadd', 'shop::note:command', '*', 'data', `{"${payload}`);
    await redis.cli('xadd', 'shop::note:command', '*', payload, payload);
    // Two that are malformed, one outside, one refused by the database, one by its handler.
    await until('all given up', async () =>
      lines('delivery.dead_lettered').length >= 3 && (await dead()) >= 5 ? true : null,
    );
    assert.ok(lines('handler.slow').length > 0, 'slow ones are named');
    assert.ok(lines('kept').length > 0);

    for (const path of ['/livez', '/readyz', '/metrics', '/startupz', '/version'])
      said += await (await fetch(address + path)).text();
    for (const command of [
      'status',
      'doctor',
      'check',
      'subscriptions status',
      'dlq list',
      'dlq list --by error',
      'outbox list',
      'db status',
      'config show',
      'config show --origin --json',
    ])
      await domaind(...command.split(' '));

    await redis.restart();
    await postgresql.restart();
    await until('its loss was told', async () => (lines('connection.lost').length > 0 ? true : null));
    daemon.signal('SIGTERM');
    await daemon.ended;

    const { DATABASE_URL = '', REDIS_URL = '' } = environment;
    for (const wrong of [
      { REDIS_URL: REDIS_URL.replace(secret, `${secret}-wrong`) },
      { DATABASE_URL: DATABASE_URL.replace(secret, `${secret}-wrong`) },
      { REDIS_URL: `redis://app:${secret}@nowhere:port` },
      { DATABASE_URL: `mysql://app:${secret}@127.0.0.1/x` },
    ]) {
      const { code, out, err } = await runDomaind(['server', '--debug', '--config', config()], {
        ...environment,
        ...wrong,
      });
      assert.notEqual(code, 0);
      said += `\n$ server with ${Object.keys(wrong)}\n${out}${err}`;
    }

    const all = `${said}\n${daemon.output()}\n${daemon.lines.map((line) => JSON.stringify(line)).join('\n')}`;
    assert.ok(daemon.lines.length > 30 && said.length > 5_000, 'there was much to read');
    for (const canary of [secret, payload]) {
      const found = all.split('\n').filter((line) => line.includes(canary));
      assert.deepEqual(found, []);
    }
  });

  const dead = async (): Promise<number> => {
    const counts = await Promise.all(
      ['shop::note:command:dlq', 'outside:dlq'].map((stream) => redis.cli('xlen', stream)),
    );
    return counts.reduce<number>((sum, count) => sum + Number(count), 0);
  };
});
