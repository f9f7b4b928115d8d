import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Programs, Settings, User } from './postgresql-cluster.ts';
import {
  addCertificate,
  configure,
  copyCluster,
  find,
  findPrograms,
  psql,
  run,
  serverUser,
  template,
} from './postgresql-cluster.ts';

/** A PostgreSQL server of the test's own, gone with the test and with the process. */
export interface PostgresqlServer {
  /** The superuser's, for the database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** The server's own process; null for the one of `DATABASE_URL`. */
  readonly pid: () => number | null;
  /** A fresh database; the URL that leads to it. */
  createDatabase(): Promise<string>;
  /** What psql prints, unaligned and without headings. Rejects with its error text. */
  psql(url: string, sql: string): Promise<string>;
  /** SIGKILL, to the server and all its backends: no goodbye to any client. */
  kill(): Promise<void>;
  /** On the same port, with the same data, whether it runs or not. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface PostgresqlOptions {
  /** Needs a server that it may kill: `DATABASE_URL` is left alone. */
  readonly own?: boolean;
  /** Server settings beyond those that make tests quick. */
  readonly settings?: Settings;
  /** Speaks TLS to those who ask for it, with the certificate of test/fixtures/tls. */
  readonly tls?: boolean;
}

/**
 * Starts a server on a free port of 127.0.0.1. With `DATABASE_URL` set and `own` not, that server is used instead.
 * User `postgres` needs no password; any other role does (scram-sha-256), so that wrong ones can be tested.
 */
export async function startPostgresql({
  own = false,
  settings = {},
  tls = false,
}: PostgresqlOptions = {}): Promise<PostgresqlServer> {
  const given = process.env['DATABASE_URL'];
  if (given && !own) return borrowed(given);
  const programs = findPrograms();
  const owner = await serverUser();
  const home = await mkdtemp(join(tmpdir(), 'domaind-postgresql-'));
  if (owner) await chown(home, owner.uid, owner.gid);
  const cluster = join(home, 'cluster');
  await copyCluster(await template(programs, owner), cluster);
  const port = await freePort();
  const certificate = tls ? await addCertificate(cluster, owner) : {};
  await configure(cluster, port, { ...certificate, ...settings });
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;

  let running = await launch(programs, cluster, owner);
  const watchdog = guard(home, cluster);
  await answering(programs, url);

  async function kill(): Promise<void> {
    const backends = await childrenOf(running.pid);
    for (const pid of [running.pid, ...backends]) signal(pid, 'SIGKILL');
    await running.ended();
    await gone(backends);
  }
  async function end(how: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    signal(running.pid, how);
    await running.ended();
  }
  return {
    url,
    port,
    pid: () => running.pid,
    createDatabase: () => createDatabase(programs, url),
    psql: (target, sql) => psql(programs, target, sql),
    kill,
    async restart() {
      await end('SIGINT');
      running = await launch(programs, cluster, owner);
      await answering(programs, url);
    },
    async stop() {
      await end('SIGQUIT');
      watchdog.release();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function borrowed(url: string): PostgresqlServer {
  const programs = { psql: find('psql'), postgres: '', initdb: '' };
  const made: string[] = [];
  const refuse = () => Promise.reject(new Error('the server of DATABASE_URL is not ours to end: ask for `own: true`'));
  return {
    url,
    port: Number(new URL(url).port || 5432),
    pid: () => null,
    async createDatabase() {
      const target = await createDatabase(programs, url);
      made.push(new URL(target).pathname.slice(1));
      return target;
    },
    psql: (target, sql) => psql(programs, target, sql),
    kill: refuse,
    restart: refuse,
    async stop() {
      for (const name of made) await psql(programs, url, `drop database if exists ${name} with (force)`);
    },
  };
}

interface Running {
  readonly pid: number;
  /** Resolves when it has ended. Until then, and only while this is awaited, the server keeps the process alive. */
  ended(): Promise<void>;
}

async function launch(programs: Programs, cluster: string, owner: User | null): Promise<Running> {
  const server = spawn(programs.postgres, ['-D', cluster], { stdio: 'ignore', cwd: '/', ...owner });
  server.unref();
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  if (server.pid === undefined) throw new Error(`${programs.postgres} could not be started`);
  return {
    pid: server.pid,
    ended() {
      if (server.exitCode === null && server.signalCode === null) server.ref();
      return ended;
    },
  };
}

/**
 * A shell that outlives this process by a moment, however it ends, and takes the server along: it waits for the end of
 * its standard input. A line before the end says that there is nothing left to do.
 */
function guard(home: string, cluster: string): { release(): void } {
  const script = 'read -r done && exit; kill -QUIT "$(head -n 1 "$2/postmaster.pid")"; sleep 1; rm -rf "$1"';
  const shell = spawn('sh', ['-c', script, 'sh', home, cluster], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  // A pipe keeps the event loop alive like a socket; this one must not.
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  return { release: () => void shell.stdin.end('done\n') };
}

async function answering(programs: Programs, url: string): Promise<void> {
  for (let left = 200; ; left -= 1) {
    const answer = await psql(programs, url, 'select 1').catch((error: unknown) => error);
    if (answer === '1') return;
    if (left === 0) throw new Error('the PostgreSQL server does not answer', { cause: answer });
    await delay(25);
  }
}

async function createDatabase(programs: Programs, url: string): Promise<string> {
  const name = `t_${randomBytes(8).toString('hex')}`;
  await psql(programs, url, `create database ${name}`);
  const target = new URL(url);
  target.pathname = `/${name}`;
  return target.href;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has gone already.
  }
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const list = await run('ps', ['-o', 'pid=', '--ppid', String(pid)], null).catch(() => '');
  return list.split(/\s+/).filter(Boolean).map(Number);
}

/** Dead; whether somebody has taken note of it (a zombie) does not matter. */
async function gone(pids: readonly number[]): Promise<void> {
  for (;;) {
    const states = await run('ps', ['-o', 'stat=', '-p', [0, ...pids].join(',')], null).catch(() => '');
    if (states.split(/\s+/).every((state) => state === '' || state.startsWith('Z'))) return;
    await delay(5);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
