import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runDomaind } from '../support/daemon.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisReply } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { armedDaemons } from './armed-daemons.ts';
import type { Laboratory } from './strike.ts';

/** One message, by what its handler does with it. */
export type Job = 'plain' | 'fails once' | 'fails for good' | 'slow';

export interface ConsumerLaboratory extends Laboratory<Job> {
  end(): Promise<void>;
}

const stream = 'external-jobs';
const group = 'failpoints.Jobs';
const slowMs = 7_000;

/** Says that it has begun where no fault reaches; its effect is a row, with the inbox beside it. */
const handler = `
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { NonRetryableError, subscriber } from 'domaind';
export const Jobs = subscriber({
  stream: '${stream}',
  handle: async ({ n, job }, ctx) => {
    appendFileSync(process.env.STARTS, n + '\\n');
    if (job === 'slow') await delay(${slowMs});
    if (job === 'fails for good') throw new NonRetryableError('never');
    if (job === 'fails once' && ctx.attempt === 1) throw new Error('not yet');
    await ctx.sql\`insert into effect (n) values (\${n})\`;
  },
});
`;

const settings = (redisUrl: string, databaseUrl: string) => `
name = "failpoints"
enable_outbox = false
[databases.default]
provider = "postgresql"
database_uri = "${databaseUrl}"
[brokers.default]
provider = "redis"
URI = "${redisUrl}"
[handlers]
path = "handlers"
[server.health]
enabled = false
[logging]
format = "json"
[server.broker_subscription]
retry_delay_seconds = 0.2
min_idle_ms = 4000
heartbeat_interval_ms = 1000
reclaim_interval_ms = 500
`;

/** Daemons that consume one stream. */
export async function consumerLaboratory(): Promise<ConsumerLaboratory> {
  const postgresql = await startPostgresql();
  const redis = await startRedis();
  const folder = mkdtempSync(join(tmpdir(), 'domaind-failpoints-'));
  const starts = join(folder, 'starts');
  const config = join(folder, 'domain.toml');
  const url = await postgresql.createDatabase();
  appendFileSync(starts, '');
  mkdirSync(join(folder, 'handlers'));
  writeFileSync(join(folder, 'handlers/jobs.js'), handler);
  writeFileSync(config, settings(redis.url, url));
  const { code, err } = await runDomaind(['db', 'setup', '--config', config]);
  if (code !== 0) throw new Error(`db setup ended with ${code}: ${err}`);
  await postgresql.psql(url, 'create table effect (n integer)');
  const daemons = armedDaemons(['server', '--config', config], { STARTS: starts });
  let n = 0;
  let last: Job = 'plain';
  let lettersBefore = 0;
  const letters = async () => Number(await redis.cli('XLEN', `${stream}:dlq`));
  const regular = (job: Job) => (job === 'fails once' ? 2 : 1);

  return {
    daemons,
    pauseMs: 8_000,
    async send(job) {
      n += 1;
      last = job;
      lettersBefore = await letters();
      await redis.cli('XADD', stream, '*', 'data', JSON.stringify({ n, job }));
    },
    async isThrough() {
      const groups = (await redis.cli('XINFO', 'GROUPS', stream)) as readonly RedisReply[];
      const fields = groups.find((each) => Array.isArray(each) && each[1] === group);
      if (!Array.isArray(fields)) return false;
      const of = (name: string) => Number(fields[fields.indexOf(name) + 1]);
      return of('lag') === 0 && of('pending') === 0;
    },
    async count() {
      const begun = readFileSync(starts, 'utf8').split('\n');
      const effects = Number(await postgresql.psql(url, `select count(*) from effect where n = ${n}`));
      return {
        duplicates: begun.filter((each) => each === String(n)).length - regular(last),
        wrongEffects: Math.abs(effects - (last === 'fails for good' ? 0 : 1)),
        deadLetters: (await letters()) - lettersBefore,
      };
    },
    async end() {
      await daemons.end();
      await redis.stop();
      await postgresql.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
