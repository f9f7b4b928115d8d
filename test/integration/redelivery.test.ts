import { after, before } from 'node:test';
import { configFromTable } from '../../src/config/from-table.ts';
import { redeliveryConformance } from '../conformance/redelivery.conformance.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const taken = { min_idle_ms: 600, heartbeat_interval_ms: 200, reclaim_interval_ms: 200, blocking_timeout_ms: 100 };
const table = (database: object, broker: object) => ({
  name: 'bookshelf',
  enable_outbox: true,
  databases: { default: database },
  brokers: { default: broker },
  event_store: { provider: 'memory' },
  server: { default_subscription_type: 'stream', stream_subscription: taken, broker_subscription: taken },
});

let postgresql: PostgresqlServer;
let redis: RedisServer;
before(async () => {
  postgresql = await startPostgresql();
  redis = await startRedis();
});
after(async () => {
  await redis?.stop();
  await postgresql?.stop();
});

redeliveryConformance('memory and the inline broker', async () =>
  configFromTable(table({ provider: 'memory' }, { provider: 'inline' }), '/domain.toml'),
);
redeliveryConformance('PostgreSQL and Redis', async () => {
  const url = await postgresql.createDatabase();
  const database = aDatabase(url);
  await setUp(database);
  await database.close();
  const broker = { provider: 'redis', URI: redis.url };
  return configFromTable(table({ provider: 'postgresql', database_uri: url }, broker), '/domain.toml');
});
