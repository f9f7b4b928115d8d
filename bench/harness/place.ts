import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import postgres from 'postgres';
import { startPostgresql } from '../../test/support/postgresql-server.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { domainToml } from './daemon.ts';
import type { Options } from './options.ts';
import { BenchUsageError } from './options.ts';
import type { Environment } from './program.ts';
import { startProgram } from './program.ts';
import type { Progress } from './side-by-side.ts';

/** Where benches run: servers of their own, with the tables of domaind, and what they are told to do. */
export interface Place {
  readonly options: Options;
  readonly progress: Progress;
  readonly sql: Sql;
  readonly redis: Redis;
  readonly redisPid: number;
  readonly databaseUrl: string;
  /** What every process of a bench is given. */
  readonly environment: Environment;
  /** For files that processes hand over. */
  readonly folder: string;
  /** The same servers, with a fresh database. */
  onDatabase(): Promise<Place>;
  close(): Promise<void>;
}

/** As a server of production has them, but for the sizes: those fit two cores and little memory. */
const settings = {
  full_page_writes: 'on',
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  track_commit_timestamp: 'on',
};

export async function openPlace(options: Options, progress: Progress): Promise<Place> {
  const durable = options.fsync ? 'on' : 'off';
  const postgresql = await startPostgresql({
    own: true,
    settings: { ...settings, fsync: durable, synchronous_commit: durable },
  });
  const redisServer = await startRedis({ appendonly: options.fsync, args: ['--auto-aof-rewrite-percentage', '0'] });
  const folder = await mkdtemp(join(tmpdir(), 'domaind-bench-'));
  const redis = new Redis(redisServer.url);
  const opened: Sql[] = [];

  async function onDatabase(): Promise<Place> {
    const databaseUrl = await postgresql.createDatabase();
    const environment = { DATABASE_URL: databaseUrl, REDIS_URL: redisServer.url };
    await setUp(options.daemon, folder, environment);
    const sql = postgres(databaseUrl, { max: 4, onnotice: () => undefined });
    opened.push(sql);
    return {
      options,
      progress,
      sql,
      redis,
      redisPid: redisServer.pid ?? 0,
      databaseUrl,
      environment,
      folder,
      onDatabase,
      async close() {
        redis.disconnect();
        await Promise.all(opened.map((each) => each.end({ timeout: 2 })));
        await redisServer.stop();
        await postgresql.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  }

  return onDatabase();
}

/** With the daemon's own command, so that its tables are those that this daemon knows. */
async function setUp(daemon: string, folder: string, environment: Environment): Promise<void> {
  if (!existsSync(daemon)) throw new BenchUsageError(`${daemon} is not there: run \`npm run build\``);
  const config = join(folder, 'setup.toml');
  await writeFile(config, domainToml({ only: null, handlers: null }));
  await startProgram('domaind db setup', [daemon, 'db', 'setup', '--config', config], environment).finished();
}
