import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import postgres from 'postgres';
import { openDatabase } from '../../src/connection/postgresql.ts';
import { setupDatabase } from '../../src/outbox/schema/setup.ts';
import { startPostgresql } from '../../test/support/postgresql-server.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import type { Options } from './options.ts';
import type { Environment } from './program.ts';
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
  const redisServer = await startRedis();
  const folder = await mkdtemp(join(tmpdir(), 'domaind-bench-'));
  const redis = new Redis(redisServer.url);
  const opened: Sql[] = [];

  async function onDatabase(): Promise<Place> {
    const databaseUrl = await postgresql.createDatabase();
    await setUp(databaseUrl);
    const sql = postgres(databaseUrl, { max: 4, onnotice: () => undefined });
    opened.push(sql);
    return {
      options,
      progress,
      sql,
      redis,
      redisPid: redisServer.pid ?? 0,
      databaseUrl,
      environment: { DATABASE_URL: databaseUrl, REDIS_URL: redisServer.url },
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

async function setUp(uri: string): Promise<void> {
  const limits = { poolSize: 2, maxOverflow: 0, connectTimeoutMs: 5_000, statementTimeoutMs: 30_000 };
  const config = {
    provider: 'postgresql',
    name: 'default',
    uri,
    directUri: null,
    schema: 'public',
    ...limits,
  } as const;
  const database = openDatabase(config, { notice: () => undefined });
  await setupDatabase(database, { normalized: 'bench', camel: 'Bench', externalBrokers: [], shards: null });
  await database.close();
}
