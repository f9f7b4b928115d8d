import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { currentVersion } from '../../src/outbox/schema/schema.ts';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Each handled event leaves a row in the same transaction, with who handled it: a second one would be a row more. */
const handler = `
import { projector } from 'domaind';
export const Ledger = projector({ categories: ['order'], handles: { OrderPlaced: async (event, ctx) => {
  await ctx.sql\`insert into handled (n, by) values (\${event.data.n}, \${ctx.config.version})\`;
} } });`;

const configOf = (version: string): string => `name = "bookshelf"
[custom]
version = "${version}"
[handlers]
path = "handlers"
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[server]
default_subscription_type = "stream"
default_subscription_profile = "fast"
[server.health]
port = 0
`;

interface Earlier {
  readonly lines: readonly string[];
  readonly ended: Promise<number | null>;
  stop(): void;
}

describe('two versions of the daemon on one database and one Redis', () => {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-upgrade-'));
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let url = '';
  let environment: { readonly [name: string]: string } = {};
  const running: Earlier[] = [];

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
    url = await postgresql.createDatabase();
    environment = { DATABASE_URL: url, REDIS_URL: redis.url };
    const archive = join(root, 'test/fixtures/upgrade/domaind-earlier.tar.gz');
    assert.equal(spawnSync('tar', ['-xzf', archive, '-C', folder]).status, 0);
    symlinkSync(join(root, 'node_modules'), join(folder, 'package/node_modules'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'handlers/ledger.js'), handler);
    for (const version of ['earlier', 'present']) writeFileSync(join(folder, `${version}.toml`), configOf(version));
  });
  after(async () => {
    for (const each of running) each.stop();
    await Promise.all([postgresql?.stop(), redis?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const config = (version: string) => ['--config', join(folder, `${version}.toml`)];

  /** The daemon of the earlier version, as its package has it. */
  function startEarlier(...args: readonly string[]): Earlier {
    const child = spawn(process.execPath, [join(folder, 'package/dist/main.js'), ...args, ...config('earlier')], {
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const onExit = () => child.kill('SIGKILL');
    process.once('exit', onExit);
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => lines.push(line));
    const ended = new Promise<number | null>((resolve) =>
      child.once('close', (code) => {
        process.off('exit', onExit);
        resolve(code);
      }),
    );
    const earlier = { lines, ended, stop: () => void child.kill('SIGTERM') };
    running.push(earlier);
    return earlier;
  }

  const saying = (daemon: { readonly lines: readonly string[] }, text: string) =>
    until(text, async () => (daemon.lines.some((line) => line.includes(text)) ? true : null));
  const number = async (sql: string) => Number(await postgresql.psql(url, sql));

  let raised = 0;
  /** Raises events of seven orders, in one transaction each. */
  async function raise(count: number): Promise<void> {
    const statements = Array.from({ length: count }, () => {
      raised += 1;
      return `select outbox_raise_event('OrderPlaced', 'order', 'o-${raised % 7}', '{"n": ${raised}}'::json);`;
    });
    await postgresql.psql(url, statements.join('\n'));
  }
  const handledBy = (version: string) => number(`select count(*) from handled where by = '${version}'`);
  const handledSince = (n: number, what: string) =>
    until(what, async () =>
      (await number(`select count(distinct n) from handled where n > ${n}`)) >= raised - n ? true : null,
    );

  it('migrates forward while the earlier one runs, hands over, and loses and doubles nothing', async () => {
    assert.equal(await startEarlier('db', 'setup').ended, 0);
    await postgresql.psql(url, 'create table handled (n int not null, by text not null)');
    const versionThere = () => number(`select value::text from outbox_setting where name = 'version'`);
    assert.ok((await versionThere()) < currentVersion, 'the fixture is of an earlier version of the tables');

    const earlier = startEarlier('server');
    await saying(earlier, 'daemon.ready');
    await raise(50);
    await handledSince(0, 'the first events, by the earlier version');

    const migrated = await runDomaind(['db', 'setup', ...config('present')], environment);
    assert.equal(migrated.code, 0, migrated.err);
    assert.equal(await versionThere(), currentVersion);
    await raise(50);
    await handledSince(50, 'events on migrated tables, by the earlier version');
    assert.equal(await handledBy('earlier'), 100);

    const present = startDaemon(['server', ...config('present')], environment);
    await present.seen('daemon.ready');
    const overlap = raised;
    for (let round = 0; round < 10; round += 1) await raise(20);
    await handledSince(overlap, 'events while both run');

    await raise(100);
    earlier.stop();
    assert.equal(await earlier.ended, 0);
    const alone = raised;
    await raise(50);
    await handledSince(alone, 'events by the present version alone');
    await handledSince(0, 'all of them');
    assert.ok((await handledBy('present')) >= 50);
    assert.equal(await number('select count(*) from handled'), raised);
    assert.equal(await number(`select count(*) from outbox where status <> 'published'`), 0);
    assert.deepEqual(
      earlier.lines.filter((line) => /"level":"?(error|fatal|50|60)/.test(line)),
      [],
    );

    present.signal('SIGTERM');
    assert.equal((await present.ended).code, 0);
  });
});
