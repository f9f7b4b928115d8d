import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { runDomaind } from '../support/daemon.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisReply } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { armedDaemons } from './armed-daemons.ts';
import type { Laboratory } from './strike.ts';

/** A batch of rows in one transaction. */
export interface Batch {
  readonly rows: number;
  /** Their stream cannot be appended to until a moment later: each is refused once. */
  readonly refused?: boolean;
}

export interface RelayLaboratory extends Laboratory<Batch> {
  /** The owner of the shard dies. */
  killOwner(): Promise<void>;
  end(): Promise<void>;
}

const settings = `
name = "bookshelf"
enable_outbox = true

[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"

[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
socket_timeout = 2

[outbox]
tick_interval = 0.1
lease_ttl_seconds = 4

[outbox.retry]
base_delay_seconds = 1

[server.health]
enabled = false

[logging]
format = "json"
level = "info"
`;

/** Two relays and one shard. */
export async function relayLaboratory(): Promise<RelayLaboratory> {
  const postgresql = await startPostgresql();
  const redis = await startRedis();
  const folder = mkdtempSync(join(tmpdir(), 'domaind-failpoints-'));
  const config = join(folder, 'domain.toml');
  writeFileSync(config, settings);
  const url = await postgresql.createDatabase();
  const environment = { DATABASE_URL: url, REDIS_URL: redis.url };
  const { code, err } = await runDomaind(['db', 'setup', '--shards', '1', '--config', config], environment);
  if (code !== 0) throw new Error(`db setup ended with ${code}: ${err}`);
  const sql = postgres(url, { max: 2, onnotice: () => undefined });
  const daemons = armedDaemons(['server', '--only', 'relay', '--config', config], environment);
  let batches = 0;
  let sent: readonly string[] = [];

  const stream = () => `bookshelf::batch${batches}`;
  const bodies = async (): Promise<readonly string[]> => {
    const entries = (await redis.cli('XRANGE', stream(), '-', '+')) as readonly (readonly [string, RedisReply[]])[];
    return entries.map(([, fields]) => String(fields[1]));
  };

  return {
    daemons,
    pauseMs: 6_000,
    async send({ rows, refused = false }) {
      batches += 1;
      sent = Array.from({ length: rows }, (_, index) => `${batches}:${index}`);
      if (refused) await redis.cli('SET', stream(), 'in the way');
      await sql.begin(async (tx) => {
        for (const at of sent) {
          await tx`select outbox_raise_event('OrderPlaced', ${`batch${batches}`}, 'one', ${JSON.stringify({ at })}::text::json)`;
        }
      });
      if (!refused) return;
      // One of them is struck at the refusal, or the refusal is written down: from here on they can be published.
      await until('the refusal', async () => {
        const [row] = await sql`select count(*)::int as failed from outbox where status = 'failed'`;
        const met = daemons.living.some(({ reports }) => reports.includes('struck')) || daemons.living.length < 2;
        return met || Number(row?.['failed']) > 0 ? true : null;
      });
      await redis.cli('DEL', stream());
    },
    async isThrough() {
      const [row] = await sql`select count(*)::int as waiting from outbox where status in ('pending', 'failed')`;
      return row?.['waiting'] === 0;
    },
    async count() {
      const found = (await bodies()).map((body) => sent.findIndex((at) => body.includes(`"${at}"`)));
      const firsts = [...new Set(found)];
      const inOrder = firsts.every((each, index) => each === index);
      const abandoned = await sql`select count(*)::int as count from outbox where status = 'abandoned'`;
      return {
        duplicates: found.length - firsts.length,
        wrongEffects: sent.length - firsts.length + (inOrder ? 0 : 1),
        deadLetters: Number(abandoned[0]?.['count']),
      };
    },
    async killOwner() {
      const owner = await until('an owner of the shard', async () => {
        const [row] = await sql`select owner from lease where name like '%:0/1' and expires_at > clock_timestamp()`;
        return daemons.living.find(({ pid }) => String(row?.['owner']).includes(`-${pid}-`)) ?? null;
      });
      owner.signal('SIGKILL');
      await owner.ended;
    },
    async end() {
      await daemons.end();
      await sql.end();
      await redis.stop();
      await postgresql.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
