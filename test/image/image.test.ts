import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

/** Where `npm run test:image` has laid out a container of the image, and what the image says of itself. */
const imageRoot = process.env['DOMAIND_IMAGE_ROOT'] ?? '';
const image: {
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly User: string;
  readonly Env: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: { readonly [label: string]: string };
} = JSON.parse(process.env['DOMAIND_IMAGE'] ?? 'null');

const tree = fileURLToPath(new URL('../..', import.meta.url));
const example = join(tree, 'examples/bookshelf');

interface Mounted {
  /** A file that is mounted at /app/domain.toml. */
  readonly config: string;
  /** A folder that is mounted at /app/handlers. */
  readonly handlers: string;
}

interface Contained {
  readonly lines: readonly string[];
  seen(pattern: RegExp): Promise<string>;
  /** As `docker stop` does: SIGTERM to the first process. */
  stop(): void;
  readonly ended: Promise<number | null>;
}

/**
 * Runs the image's command as an engine would: as its user and as process 1 of its own namespace, on a root that cannot be
 * written, with /tmp in memory and nothing of this machine's environment.
 */
function contain(args: readonly string[], environment: Readonly<Record<string, string>>, mounted: Mounted): Contained {
  const script = `set -e
    mount --make-rprivate /
    mount --bind "$ROOT" "$ROOT"; mount -t proc proc "$ROOT/proc"
    mount --bind "$CONFIG" "$ROOT/app/domain.toml"; mount --bind "$HANDLERS" "$ROOT/app/handlers"
    mount -o remount,bind,ro "$ROOT/app/domain.toml"; mount -o remount,bind,ro "$ROOT/app/handlers"
    mount -o remount,bind,ro "$ROOT"; mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
    exec env -i $VARIABLES "$CHROOT" --userspec="$OWNER" "$ROOT" "$@"`;
  const variables = [...image.Env, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)];
  const [program = '', ...rest] = [...image.Entrypoint, ...args];
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh', `/usr/local/bin/${program}`, ...rest],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        CHROOT: '/usr/sbin/chroot',
        ROOT: imageRoot,
        OWNER: image.User,
        CONFIG: mounted.config,
        HANDLERS: mounted.handlers,
        VARIABLES: variables.join(' '),
      },
    },
  );
  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  let over = false;
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      over = true;
      process.off('exit', onExit);
      resolve(code);
    }),
  );
  return {
    lines,
    ended,
    seen: (pattern) =>
      until(String(pattern), async () => {
        const found = lines.find((line) => pattern.test(line));
        assert.ok(found !== undefined || !over, `it has ended\n${lines.join('\n')}`);
        return found ?? null;
      }),
    stop() {
      const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' });
      process.kill(Number(stdout.trim()), 'SIGTERM');
    },
  };
}

const sizeOf = (folder: string): number =>
  readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(path) : lstatSync(path).size);
  }, 0);

describe('the image that was built', () => {
  it('is below 200 MB', () => {
    const megabytes = sizeOf(imageRoot) / 1_000_000;
    console.log(`the image takes ${megabytes.toFixed(0)} MB`);
    assert.ok(megabytes < 200, `${megabytes} MB`);
  });

  it('holds neither a shell nor npm nor the sources', () => {
    const strangers = [
      'bin/sh',
      'usr/bin/sh',
      'bin/bash',
      'usr/local/bin/npm',
      'usr/local/lib/node_modules',
      'app/src',
    ];
    assert.deepEqual(
      strangers.filter((path) => existsSync(join(imageRoot, path))),
      [],
    );
    assert.ok(!existsSync(join(imageRoot, 'app/node_modules/typescript')));
  });

  it('runs as a user by number, in /app, with labels', () => {
    assert.equal(image.User, '65532:65532');
    assert.equal(image.WorkingDir, '/app');
    assert.deepEqual([...image.Entrypoint, ...image.Cmd], ['node', '/app/dist/main.js', 'server']);
    assert.match(image.Labels['org.opencontainers.image.version'] ?? '', /^\d+\.\d+\.\d+$/);
  });
});

describe('a container of the image', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  const folder = mkdtempSync(join(tmpdir(), 'domaind-image-'));

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
    // An engine makes what is mounted upon.
    writeFileSync(join(imageRoot, 'app/domain.toml'), '');
    mkdirSync(join(imageRoot, 'proc'), { recursive: true });
  });
  after(async () => {
    await Promise.all([postgresql?.stop(), redis?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const given = async (handlers: string, path: string) => {
    const config = join(folder, 'domain.toml');
    writeFileSync(
      config,
      `name = "bookshelf"
[handlers]
path = "${path}"
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[server]
default_subscription_type = "stream"
drain_timeout_seconds = 10
[server.health]
host = "\${HEALTH_HOST|127.0.0.1}"
port = 0
`,
    );
    const url = await postgresql.createDatabase();
    const environment = { DATABASE_URL: url, REDIS_URL: redis.url, DOMAIND_CONFIG: '/app/domain.toml' };
    const start = (...args: readonly string[]) => contain(args, environment, { config, handlers });
    const setup = start('db', 'setup');
    assert.equal(await setup.ended, 0, setup.lines.join('\n'));
    return { start, url };
  };

  it('runs the bookshelf that is mounted, as process 1 on a root that cannot be written', async () => {
    const { start, url } = await given(example, 'handlers/handlers');
    const daemon = start(...image.Cmd);
    assert.match(await daemon.seen(/"daemon\.started"/), /"pid":1[,}]/);
    await daemon.seen(/"daemon\.ready"/);
    const order = `'PlaceOrder', 'order', '{"order_id":"o-1","customer":"Ada","items":["Dune"]}'::json`;
    await postgresql.psql(url, `select outbox_process_command(${order})`);
    await daemon.seen(/the customer is told/);
    const summaries = `select coalesce(sum((value ->> 'orders')::int), 0) from document where collection = 'order_summaries'`;
    await until('the summary', async () => ((await postgresql.psql(url, summaries)) === '1' ? true : null));
    const [, port] = /"port":(\d+)/.exec(await daemon.seen(/http\.listening/)) ?? [];
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    assert.equal(ready.status, 200);
    const health = start('healthcheck', '--port', port ?? '');
    assert.equal(await health.ended, 0, health.lines.join('\n'));
    daemon.stop();
    assert.equal(await daemon.ended, 0, daemon.lines.join('\n'));
  });

  it('finishes what is in hand when it is stopped', async () => {
    const handlers = join(folder, 'slow');
    mkdirSync(handlers);
    writeFileSync(
      join(handlers, 'slow.mjs'),
      `import { writeFileSync } from 'node:fs';
      import { setTimeout as delay } from 'node:timers/promises';
      import { eventHandler } from 'domaind';
      const writable = ['/app/x', '/x', '/etc/x', '/tmp/x'].filter((file) => {
        try { writeFileSync(file, ''); return true; } catch { return false; }
      });
      export const Slow = eventHandler({ category: 'order', handles: { async OrderPlaced(event, ctx) {
        ctx.log.info('begun', { writable, uid: process.getuid() });
        await delay(1500);
        await ctx.store('handled').put('o-1', {});
      } } });`,
    );
    const { start, url } = await given(handlers, 'handlers');
    const daemon = start(...image.Cmd);
    await daemon.seen(/"daemon\.ready"/);
    await postgresql.psql(url, `select outbox_raise_event('OrderPlaced', 'order', 'o-1', '{}'::json)`);
    const begun = await daemon.seen(/"begun"/);
    assert.match(begun, /"writable":\["\/tmp\/x"\]/);
    assert.match(begun, /"uid":65532/);
    daemon.stop();
    assert.equal(await daemon.ended, 0, daemon.lines.join('\n'));
    assert.equal(await postgresql.psql(url, `select count(*) from document where collection = 'handled'`), '1');
  });
});
