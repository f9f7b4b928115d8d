import { after, before } from 'node:test';
import type { Database } from '../../src/connection/database.ts';
import type { RedisConnection } from '../../src/connection/redis.ts';
import { createRedisConnection } from '../../src/connection/redis.ts';
import { createPostgresqlIdempotency } from '../../src/handler/postgresql-idempotency.ts';
import { createRedisIdempotency } from '../../src/handler/redis-idempotency.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { describeIdempotency } from '../conformance/idempotency.conformance.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

let postgresql: PostgresqlServer;
let url: string;
let database: Database;
let redis: RedisServer;
let connection: RedisConnection;
before(async () => {
  [postgresql, redis] = await Promise.all([startPostgresql(), startRedis()]);
  url = await postgresql.createDatabase();
  database = aDatabase(url);
  await setUp(database);
  const timeouts = { connectTimeoutMs: 5_000, commandTimeoutMs: 5_000 };
  const deps = { clock: systemClock, random: systemRandom, onLost: () => undefined, onRestored: () => undefined };
  connection = createRedisConnection(
    { name: 'keys', uri: redis.url, tls: null, ...timeouts, clientName: 'test' },
    deps,
  );
});
after(async () => {
  connection.close();
  await database.close();
  await Promise.all([postgresql.stop(), redis.stop()]);
});

// Rather than to wait, what is there is made older.
describeIdempotency('PostgreSQL', () => ({
  open: async (times) => createPostgresqlIdempotency(times, database),
  pass: async (ms) => {
    await postgresql.psql(
      url,
      `update command_key set expires_at = expires_at - interval '${ms} ms'
       where expires_at < clock_timestamp() + interval '10 s'`,
    );
  },
  purges: true,
}));

describeIdempotency('Redis', () => ({
  open: async (times) => createRedisIdempotency({ domain: 'shop', ...times }, connection),
  pass: async (ms) => {
    for (const key of (await connection.ask(['KEYS', 'shop:idempotency:*'])) as readonly string[]) {
      const left = Number(await connection.ask(['PTTL', key]));
      if (left < 10_000) await connection.ask(['PEXPIRE', key, String(left - ms)]);
    }
  },
  purges: false,
}));
