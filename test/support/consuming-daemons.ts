import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Daemon } from './daemon.ts';
import { startDaemon } from './daemon.ts';
import type { RedisReply, RedisServer } from './redis-server.ts';

/** One line that a handler wrote: what it did with a message, in which process, and when. */
export interface Step {
  readonly what: 'started' | 'done';
  readonly pid: number;
  /** The message's number. */
  readonly n: number;
  readonly attempt: number;
  readonly at: number;
}

/** Daemons, as processes of their own, that consume one external stream. */
export interface ConsumingDaemons {
  readonly stream: string;
  readonly group: string;
  /** The path of their domain.toml. */
  readonly config: string;
  start(): Daemon;
  /** What the handlers have done so far, in the order they wrote it. */
  steps(): readonly Step[];
  /** Adds messages, each with its number and the time. */
  publish(numbers: readonly number[], extra?: object): Promise<void>;
  /** Whether the group has read and acknowledged all. */
  isThrough(): Promise<boolean>;
  deadLetters(): Promise<number>;
  /** Ends what was started, and removes the folder. */
  end(): Promise<void>;
}

export interface ConsumingOptions {
  readonly redis: RedisServer;
  /** The body of `async (payload, ctx) => { … }`, between the line that says it started and the one that says it is done. */
  readonly handle: string;
  /** Of `[server.broker_subscription]`. */
  readonly settings: string;
  /** Of another database than one in memory. */
  readonly databaseUrl?: string;
}

const stream = 'external-jobs';
const group = 'faults.Jobs';

const module = (handle: string) => `
import { appendFileSync } from 'node:fs';
import { subscriber } from 'domaind';
const say = (what, { n }, ctx) =>
  appendFileSync(process.env.STEPS, JSON.stringify({ what, pid: process.pid, n, attempt: ctx.attempt, at: Date.now() }) + '\\n');
export const Jobs = subscriber({
  stream: '${stream}',
  handle: async (payload, ctx) => {
    say('started', payload, ctx);
    ${handle}
    say('done', payload, ctx);
  },
});
`;

export function consumingDaemons({ redis, handle, settings, databaseUrl }: ConsumingOptions): ConsumingDaemons {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-consuming-'));
  const file = join(folder, 'steps');
  const started: Daemon[] = [];
  appendFileSync(file, '');
  mkdirSync(join(folder, 'handlers'));
  writeFileSync(join(folder, 'handlers/jobs.js'), module(handle));
  const database =
    databaseUrl === undefined ? 'provider = "memory"' : `provider = "postgresql"\ndatabase_uri = "${databaseUrl}"`;
  const config = join(folder, 'domain.toml');
  writeFileSync(
    config,
    `name = "faults"
enable_outbox = false
[databases.default]
${database}
[brokers.default]
provider = "redis"
URI = "${redis.url}"
[handlers]
path = "handlers"
[server]
drain_timeout_seconds = 5
[server.health]
enabled = false
[server.broker_subscription]
${settings}
`,
  );
  const state = async () => {
    const groups = await redis.cli('XINFO', 'GROUPS', stream);
    const fields = (Array.isArray(groups) ? (groups as readonly RedisReply[]) : []).find(
      (each) => Array.isArray(each) && each[1] === group,
    );
    const of = (name: string) => (Array.isArray(fields) ? Number(fields[fields.indexOf(name) + 1]) : Number.NaN);
    return { lag: of('lag'), pending: of('pending') };
  };
  return {
    stream,
    group,
    config,
    start() {
      const daemon = startDaemon(['server', '--config', config], { STEPS: file });
      started.push(daemon);
      return daemon;
    },
    steps: () =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Step),
    async publish(numbers, extra = {}) {
      for (const n of numbers) {
        await redis.cli('XADD', stream, '*', 'data', JSON.stringify({ n, at: Date.now(), ...extra }));
      }
    },
    async isThrough() {
      const { lag, pending } = await state();
      return lag === 0 && pending === 0;
    },
    deadLetters: async () => Number(await redis.cli('XLEN', `${stream}:dlq`)),
    async end() {
      for (const daemon of started) daemon.signal('SIGKILL');
      await Promise.all(started.map(({ ended }) => ended));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
