import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisOptions } from 'ioredis';
import { Redis } from 'ioredis';

export interface StartRedis {
  /** More of redis-server's own arguments, e.g. `['--maxmemory', '4mb']`. */
  readonly args?: readonly string[];
  /** Whether entries outlive `kill()`. */
  readonly appendonly?: boolean;
  /** Default: a free one. */
  readonly port?: number;
  /** PEM files: it speaks TLS as well, and `url` is that of the port for it. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** The test never kills or stops it, so the server that `REDIS_URL` names will do, where there is one. */
  readonly shared?: boolean;
}

export type RedisReply = string | number | null | Buffer | readonly RedisReply[];

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** The server's own; null of a server that the suite did not start. */
  readonly pid: number | null;
  /** One command on a connection of its own, as redis-cli would send it. */
  cli(...command: readonly (string | number | Buffer)[]): Promise<RedisReply>;
  /** The same, with the reply's strings as bytes. */
  cliBytes(...command: readonly (string | number | Buffer)[]): Promise<RedisReply>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again after `kill()`, on the same port and in the same folder. */
  restart(): Promise<void>;
  /** SIGSTOP: its connections stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/**
 * A Redis server of the test's own: on a free port of 127.0.0.1, in a private folder, answering PING. It ends with
 * `stop()`, and at the latest with this process, however that ends.
 */
export async function startRedis(options: StartRedis = {}): Promise<RedisServer> {
  const { args = [], appendonly = false, shared = false } = options;
  const given = process.env['REDIS_URL'];
  if (shared && given !== undefined && given !== '') return serverAt(given);
  const executable = findRedisServer();
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'redis-server-'));
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--loglevel',
    'warning',
  ];
  settings.push('--appendonly', appendonly ? 'yes' : 'no', '--enable-debug-command', 'yes', ...args);
  const tlsPort = options.tls === undefined ? null : await freePort();
  if (options.tls !== undefined && tlsPort !== null) {
    const { cert, key } = options.tls;
    settings.push('--tls-port', String(tlsPort), '--tls-auth-clients', 'no');
    settings.push('--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert);
  }
  let running = await launch(executable, settings, port);
  let paused = false;
  const plain = `redis://127.0.0.1:${port}`;
  const url = tlsPort === null ? plain : `rediss://127.0.0.1:${tlsPort}`;
  const signal = (name: NodeJS.Signals) => {
    if (running.alive) process.kill(running.pid, name);
  };
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const server: RedisServer = {
    port,
    url,
    get pid() {
      return running.pid;
    },
    cli: (...command) => ask(plain, command, false),
    cliBytes: (...command) => ask(plain, command, true),
    async kill() {
      signal('SIGKILL');
      await running.end();
    },
    async restart() {
      await server.kill();
      running = await launch(executable, settings, port);
    },
    pause() {
      paused = true;
      signal('SIGSTOP');
    },
    resume() {
      paused = false;
      signal('SIGCONT');
    },
    async stop() {
      if (paused) server.resume();
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return server;
}

function serverAt(url: string): RedisServer {
  const refuse = () => {
    throw new Error('this server is not the test’s own: startRedis without `shared` gives one that may be killed');
  };
  return {
    port: Number(new URL(url).port || 6379),
    url,
    pid: null,
    cli: (...command) => ask(url, command, false),
    cliBytes: (...command) => ask(url, command, true),
    kill: refuse,
    restart: refuse,
    pause: refuse,
    resume: refuse,
    stop: async () => undefined,
  };
}

async function ask(url: string, command: readonly (string | number | Buffer)[], bytes: boolean): Promise<RedisReply> {
  const options: RedisOptions = { lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 };
  const client = new Redis(url, options);
  client.on('error', () => undefined);
  const [name, ...args] = command;
  try {
    await client.connect();
    const reply = bytes ? client.callBuffer(String(name), args) : client.call(String(name), [...args]);
    return (await reply) as RedisReply;
  } finally {
    client.disconnect();
  }
}

function findRedisServer(): string {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/bin',
    '/opt/homebrew/bin',
    '/opt/redis/bin',
  ];
  const found = folders.map((folder) => join(folder, 'redis-server')).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new Error(
    'These tests start redis-server themselves: install Redis 6.2 or later (Debian: apt-get install redis-server; macOS: brew install redis).',
  );
}

interface Running {
  readonly pid: number;
  readonly alive: boolean;
  /** Resolves when it has ended. */
  end(): Promise<void>;
}

/** `$p` is the server, `$w` the watcher that ends it when standard input closes. */
const script = `exec 3<&0
"$@" </dev/null >/dev/null 2>&1 3<&- & p=$!
echo $p
( read -r _ <&3; kill -9 $p 2>/dev/null ) >/dev/null & w=$!
wait $p
kill $w 2>/dev/null
exit 0`;

/**
 * Starts the server under a shell that ends it as soon as this process is gone, even by SIGKILL: the shell's standard
 * input closes then.
 */
async function launch(executable: string, settings: readonly string[], port: number): Promise<Running> {
  const shell = spawn('/bin/sh', ['-c', script, 'redis', executable, ...settings], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const pid = await firstLine(shell);
  let alive = true;
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => {
      alive = false;
      resolve();
    });
  });
  letGo(shell);
  const deadline = performance.now() + 10_000;
  while (!(await answersPing(port))) {
    if (!alive) throw new Error(`redis-server ended at once; try it by hand: ${executable} ${settings.join(' ')}`);
    if (performance.now() > deadline) throw new Error(`redis-server does not answer on 127.0.0.1:${port}`);
    await delay(10);
  }
  return {
    pid,
    get alive() {
      return alive;
    },
    async end() {
      if (alive) shell.ref();
      await ended;
    },
  };
}

/** Lets this process end although the shell still runs. */
function letGo(shell: ChildProcess): void {
  shell.unref();
  for (const stream of [shell.stdin, shell.stdout]) {
    if (stream instanceof Socket) stream.unref();
  }
}

function firstLine(shell: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    shell.once('error', reject);
    shell.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
}

/** Any answer but LOADING will do: a server that wants a password is up, too. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write('PING\r\n'));
    const done = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('data', (answer) => done(!answer.toString().startsWith('-LOADING')));
    socket.once('error', () => done(false));
    socket.once('close', () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(address)));
    });
  });
}
