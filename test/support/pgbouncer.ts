import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A pooler in transaction mode in front of a server of the test's own. */
export interface Pgbouncer {
  /** Leads to the same database, through the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts PgBouncer on a free port of 127.0.0.1, in front of the database that `url` names. */
export async function startPgbouncer(url: string): Promise<Pgbouncer> {
  const target = new URL(url);
  const folder = mkdtempSync(join(tmpdir(), 'domaind-pgbouncer-'));
  const port = await freePort();
  const name = target.pathname.slice(1);
  const user = target.username || 'postgres';
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    `[databases]
${name} = host=${target.hostname} port=${target.port} dbname=${name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
pool_mode = transaction
auth_type = any
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
logfile = ${join(folder, 'log')}
`.replace(`dbname=${name}\n`, `dbname=${name} user=${user}\n`),
  );
  // It refuses to run as root.
  const asRoot = process.getuid?.() === 0;
  if (asRoot) spawnSync('chown', ['-R', 'nobody', folder]);
  const child = spawn(executable(), [...(asRoot ? ['-u', 'nobody'] : []), join(folder, 'pgbouncer.ini')], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  await listening(port);
  const pooled = new URL(url);
  pooled.port = String(port);
  return {
    url: pooled.href,
    async stop() {
      kill();
      await ended;
      process.off('exit', kill);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function executable(): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));
  if (found === undefined) throw new Error('pgbouncer was not found: apt-get install pgbouncer to run these tests');
  return found;
}

async function listening(port: number): Promise<void> {
  for (let left = 200; left > 0; left -= 1) {
    const there = await new Promise<boolean>((resolve) => {
      const socket = connectSocket(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (there) return;
    await delay(20);
  }
  throw new Error('pgbouncer does not listen');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
