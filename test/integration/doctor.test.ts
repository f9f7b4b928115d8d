import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startPgbouncer } from '../support/pgbouncer.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { atOnce, entry, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';

const toml = `
name = "bookshelf"
enable_outbox = true
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
socket_timeout = 1
socket_connect_timeout = 1
[handlers]
path = "handlers"
[server.stream_subscription]
blocking_timeout_ms = 100
heartbeat_interval_ms = 100
`;
const handlers = `
import { eventHandler } from 'domaind';
export const Shipping = eventHandler({ category: 'order', handles: { OrderPlaced: () => undefined } });
`;
const order = 'bookshelf::order';
const group = 'bookshelf.Shipping';

interface Told {
  readonly findings: readonly {
    readonly code: string;
    readonly severity: string;
    readonly subject: string;
    readonly evidence: string;
    readonly mend: string;
  }[];
}

describe('domaind doctor and domaind status', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let folder: string;
  let sound: string;

  before(async () => {
    [postgresql, redis] = await Promise.all([
      startPostgresql({ own: true }),
      startRedis({ appendonly: true, args: ['--stop-writes-on-bgsave-error', 'yes'] }),
    ]);
    sound = await aSoundDatabase();
    folder = mkdtempSync(join(tmpdir(), 'domaind-doctor-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'domain.toml'), toml);
    writeFileSync(join(folder, 'handlers/orders.js'), handlers);
  });
  after(async () => {
    await Promise.all([postgresql.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function aSoundDatabase(): Promise<string> {
    const url = await postgresql.createDatabase();
    const database = aDatabase(url);
    await setUp(database, { externalBrokers: [] });
    await database.close();
    return url;
  }

  const environment = (more: Record<string, string> = {}) => ({ DATABASE_URL: sound, REDIS_URL: redis.url, ...more });
  const told = async (more: Record<string, string> = {}) => {
    const ran = await run(['doctor', '--json'], { cwd: folder, environment: environment(more) });
    return { ...ran, findings: ran.json<Told>().findings };
  };
  const published = async () => {
    const { broker } = redisBrokerAt(redis.url);
    await broker.publish([1, 2].map((n) => entry(order, `{"n": ${n}}`)));
    return broker;
  };

  it('find nothing where nothing is wrong', async () => {
    await redis.cli('FLUSHALL');
    const { code, findings } = await told();
    assert.deepEqual(findings, []);
    assert.equal(code, 0);
    const { out } = await run(['doctor'], { cwd: folder, environment: environment() });
    assert.match(out, /^all is well; looked at database "default", broker "default"/);
  });

  interface Fault {
    readonly is: string;
    readonly code: string;
    readonly evidence: RegExp;
    readonly mend: RegExp;
    /** Makes it; answers what is to be in the environment. */
    stage(): Promise<Record<string, string>>;
    /** Makes it good again. */
    readonly mended?: () => Promise<unknown>;
    /** Status has no numbers then, and ends as where anything is away. */
    readonly statusCode?: number;
  }

  let stopPooler = async () => undefined as unknown;
  const faults: readonly Fault[] = [
    {
      is: 'a Redis that evicts',
      code: 'eviction',
      evidence: /maxmemory_policy:allkeys-lru/,
      mend: /CONFIG SET maxmemory-policy noeviction/,
      stage: async () => {
        await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
        return {};
      },
      mended: () => redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction'),
    },
    {
      is: 'a grant that is missing',
      code: 'grant_missing',
      evidence: /grant_missing/,
      mend: /^grant delete, update on "public"\.outbox to teller$|^grant update, delete on "public"\.outbox to teller$/,
      statusCode: 0,
      stage: async () => {
        const url = await aSoundDatabase();
        await postgresql.psql(
          url,
          `create role teller login password 'teller'; grant usage on schema public to teller;
           grant select, insert, update, delete on all tables in schema public to teller;
           grant usage on all sequences in schema public to teller; revoke update, delete on outbox from teller;`,
        );
        const as = new URL(url);
        as.username = 'teller';
        as.password = 'teller';
        return { DATABASE_URL: as.href };
      },
    },
    {
      is: 'a consumer that is dead',
      code: 'entries_stranded',
      evidence: /1 entry pending, last seen \d+ s ago; 0 living consumers/,
      mend: /start `domaind server`/,
      stage: async () => {
        const broker = await published();
        const consumer = await broker.consume({ streams: [order], group, consumer: 'gone' });
        await consumer.read({ ...atOnce, count: 1 });
        await consumer.close();
        await broker.close();
        return {};
      },
    },
    {
      is: 'a message that kills its process',
      code: 'poison',
      evidence: /took the process down 2 times/,
      mend: /domaind explain \d+-\d+/,
      stage: async () => {
        const broker = await published();
        const consumer = await broker.consume({ streams: [order], group, consumer: 'killed' });
        const [first] = await consumer.read({ ...atOnce, count: 1 });
        assert.ok(first);
        await consumer.recordStart(first);
        await consumer.recordStart(first);
        await consumer.close();
        await broker.close();
        return {};
      },
    },
    {
      is: 'a message that was given up',
      code: 'dead_letters',
      evidence: /1 dead letter; newest: Shipping: TypeError: no address/,
      mend: /domaind dlq list --by error/,
      stage: async () => {
        const note = {
          consumer_group: group,
          handler: 'Shipping',
          error_type: 'TypeError',
          error_message: 'no address',
        };
        await redis.cli('XADD', `${order}:dlq`, '*', 'data', JSON.stringify({ data: {}, _dlq_metadata: note }));
        return {};
      },
    },
    {
      is: 'a relay that was stopped',
      code: 'relay_stopped',
      evidence: /1 row pending for broker "default", .* no lease of a shard is held/,
      mend: /domaind server/,
      stage: async () => {
        const url = await aSoundDatabase();
        await postgresql.psql(url, `select outbox_raise_event('OrderPlaced', 'order', 'o-1', '{}'::json)`);
        return { DATABASE_URL: url };
      },
    },
    {
      is: 'a broker that cannot be reached, with rows that wait for it',
      code: 'broker_unreachable',
      evidence: /ECONNREFUSED/,
      mend: /start Redis, or mend \[brokers\.default\] URI/,
      statusCode: 69,
      stage: async () => {
        const url = await aSoundDatabase();
        await postgresql.psql(url, `select outbox_raise_event('OrderPlaced', 'order', 'o-1', '{}'::json)`);
        return { DATABASE_URL: url, REDIS_URL: 'redis://127.0.0.1:1/0' };
      },
    },
    {
      is: 'tables of another version',
      code: 'table_version',
      evidence: /version_old/,
      mend: /^domaind db setup$/,
      stage: async () => {
        const url = await aSoundDatabase();
        await postgresql.psql(url, `update outbox_setting set value = '1' where name = 'version'`);
        return { DATABASE_URL: url };
      },
    },
    {
      is: 'PgBouncer in transaction mode',
      code: 'pooler_listen',
      evidence: /handed from one client to the next/,
      mend: /\[databases\.default\] direct_uri/,
      stage: async () => {
        const pooler = await startPgbouncer(sound);
        stopPooler = () => pooler.stop();
        return { DATABASE_URL: pooler.url };
      },
      mended: () => stopPooler(),
    },
    {
      is: 'a group that was deleted',
      code: 'group_missing',
      evidence: /XINFO GROUPS bookshelf::order: none; 2 entries on the stream/,
      mend: /makes it anew/,
      stage: async () => {
        const broker = await published();
        await broker.close();
        await redis.cli('XGROUP', 'CREATE', order, group, '0');
        await redis.cli('XGROUP', 'DESTROY', order, group);
        return {};
      },
    },
    {
      is: 'a Redis whose disk is full',
      code: 'broker_disk',
      evidence: /MISCONF|aof_last_write_status/,
      mend: /free space in the folder/,
      statusCode: 69,
      stage: async () => {
        // A snapshot that cannot be written looks the same whatever the disk lacks.
        await redis.cli('CONFIG', 'SET', 'save', '3600 1');
        rmSync(String(((await redis.cli('CONFIG', 'GET', 'dir')) as readonly string[])[1]), { recursive: true });
        await redis.cli('BGSAVE');
        while (!String(await redis.cli('INFO', 'persistence')).includes('rdb_last_bgsave_status:err')) await delay(20);
        return {};
      },
    },
  ];

  for (const { is, code, evidence, mend, stage, mended, statusCode = 0 } of faults) {
    it(`name ${is} first`, async () => {
      await redis.cli('FLUSHALL');
      const more = await stage();
      try {
        // A consumer is dead when it has been silent: until then there is nothing to be found.
        let found = await told(more);
        for (let left = 60; left > 0 && found.findings[0]?.code !== code; left -= 1) {
          await delay(100);
          found = await told(more);
        }
        const [first] = found.findings;
        assert.equal(first?.code, code, JSON.stringify(found.findings, null, 2));
        assert.equal(found.code, 1);
        assert.match(first?.evidence ?? '', evidence);
        assert.match(first?.mend ?? '', mend);
        const status = await run(['status'], { cwd: folder, environment: environment(more) });
        assert.equal(status.code, statusCode, status.err);
        assert.match(`${status.err}\n${status.out}`.trim(), new RegExp(`^.*\\[${code}\\]`));
      } finally {
        await mended?.();
      }
    });
  }
});
