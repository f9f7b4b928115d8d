import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisReply } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { armedDaemons } from './armed-daemons.ts';
import type { Laboratory } from './strike.ts';

/** One message of a key that nobody has owned before, by what its handler does with it. */
export type Order = 'plain' | 'fails once' | 'fails for good';

export interface PartitionLaboratory extends Laboratory<Order> {
  end(): Promise<void>;
}

const handler = `
import { appendFileSync } from 'node:fs';
import { NonRetryableError, eventHandler } from 'domaind';
export const Billing = eventHandler({
  category: 'order',
  sequentialBy: 'customer',
  subscription: { on_poison: 'dead_letter' },
  handles: {
    OrderPlaced: async ({ data: { n, order } }, ctx) => {
      appendFileSync(process.env.STARTS, n + '\\n');
      if (order === 'fails for good') throw new NonRetryableError('never');
      if (order === 'fails once' && ctx.attempt === 1) throw new Error('not yet');
      await ctx.sql\`insert into effect (n) values (\${n})\`;
    },
  },
});
`;

const settings = `
name = "bookshelf"
enable_outbox = true
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[outbox]
tick_interval = 0.1
[server.stream_subscription]
retry_delay_seconds = 0.2
[server.partitioning]
lease_ttl_ms = 4000
heartbeat_interval_seconds = 1
poll_interval_seconds = 0.2
[server.health]
enabled = false
[logging]
format = "json"
`;

/** Daemons that share the keys of a category, and one that relays to them and is let be. */
export async function partitionLaboratory(): Promise<PartitionLaboratory> {
  const postgresql = await startPostgresql();
  const redis = await startRedis();
  const folder = mkdtempSync(join(tmpdir(), 'domaind-failpoints-'));
  const starts = join(folder, 'starts');
  const config = join(folder, 'domain.toml');
  const url = await postgresql.createDatabase();
  appendFileSync(starts, '');
  mkdirSync(join(folder, 'handlers'));
  writeFileSync(join(folder, 'handlers/billing.js'), handler);
  writeFileSync(config, settings);
  const environment = { DATABASE_URL: url, REDIS_URL: redis.url, STARTS: starts };
  const { code, err } = await runDomaind(['db', 'setup', '--config', config], environment);
  if (code !== 0) throw new Error(`db setup ended with ${code}: ${err}`);
  await postgresql.psql(url, 'create table effect (n integer)');
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  const relay = startDaemon(['server', '--only', 'relay', '--config', config], environment);
  await relay.seen('lease.acquired');
  const daemons = armedDaemons(['server', '--only', 'subscriptions', '--config', config], environment);
  let n = 0;
  let last: Order = 'plain';
  const stream = () => `bookshelf::order:c${n}`;
  const letters = async () => Number(await redis.cli('XLEN', `${stream()}:dlq`));

  /** By its group: nothing is unread, and nothing pending. Throws while there is no such stream. */
  async function isRead(): Promise<boolean> {
    const groups = (await redis.cli('XINFO', 'GROUPS', stream())) as readonly RedisReply[];
    const of = (group: readonly RedisReply[], name: string) => Number(group[group.indexOf(name) + 1]);
    return (
      groups.length > 0 &&
      groups.every((each) => Array.isArray(each) && of(each, 'lag') === 0 && of(each, 'pending') === 0)
    );
  }

  return {
    daemons,
    pauseMs: 8_000,
    async send(order) {
      n += 1;
      last = order;
      const data = JSON.stringify({ customer: `c${n}`, n, order });
      await sql`select outbox_raise_event('OrderPlaced', 'order', ${`o${n}`}, ${data}::text::json)`;
    },
    async isThrough() {
      const [row] = await sql`select count(*)::int as waiting from outbox where status in ('pending', 'failed')`;
      return row?.['waiting'] === 0 && (await isRead().catch(() => false));
    },
    async count() {
      const begun = readFileSync(starts, 'utf8').split('\n');
      const [row] = await sql`select count(*)::int as effects from effect where n = ${n}`;
      return {
        duplicates: begun.filter((each) => each === String(n)).length - (last === 'fails once' ? 2 : 1),
        wrongEffects: Math.abs(Number(row?.['effects']) - (last === 'fails for good' ? 0 : 1)),
        deadLetters: await letters(),
      };
    },
    async end() {
      relay.signal('SIGKILL');
      await daemons.end();
      await relay.ended;
      await sql.end();
      await redis.stop();
      await postgresql.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
