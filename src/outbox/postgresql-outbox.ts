import type { Fragment, Sql } from 'postgres';
import type { OutboxConfig } from '../config/config.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { OutboxStats, OutboxStore } from './outbox.ts';
import { ageMs } from './postgresql-due.ts';
import { createPostgresqlLeases } from './postgresql-lease.ts';
import type { ShardDeps } from './postgresql-shard.ts';
import { createPostgresqlShard } from './postgresql-shard.ts';

/** The outbox of a database that `setupDatabase` has set up. Abandoned rows that are too large are told by `emit`. */
export function createPostgresqlOutbox(config: OutboxConfig, deps: ShardDeps): OutboxStore {
  const { database } = deps;
  const keepPublished = config.cleanup.publishedRetentionMs > 0;
  const table = (sql: Sql) => sql`${sql(database.schema)}.outbox`;

  return {
    database: database.name,
    leases: createPostgresqlLeases(database),
    async shards() {
      const [row] = await database.bounded(
        (sql) => sql<{ value: unknown }[]>`
          select value from ${sql(database.schema)}.outbox_setting where name = 'shards'`,
      );
      const shards = row?.value;
      if (typeof shards === 'number' && Number.isInteger(shards) && shards >= 1 && shards <= 1_024) return shards;
      const fault = `the outbox of database "${database.name}" does not say how many shards it has`;
      throw new MisconfiguredError('database_schema', `${fault}: run \`domaind db setup\``);
    },
    shard: (index, shards, broker, leaseName) =>
      createPostgresqlShard({ ...config, keepPublished }, { index, shards, broker, leaseName }, deps),
    async stats(broker) {
      const [stats] = await database.bounded((sql) => countOf(sql, table(sql), broker));
      if (!stats) throw new TypeError('an aggregate without GROUP BY has one row');
      return stats;
    },
    async purge(publishedMs, abandonedMs, limit) {
      for (let after = '0'; ; ) {
        const swept = await database.bounded((sql) => sweep(sql, table(sql), after, publishedMs, abandonedMs, limit));
        if (swept.deleted > 0 || swept.last === null || swept.reachedTheYoung) return swept.deleted;
        after = swept.last;
      }
    },
  };
}

/** Each count has its partial index. The oldest is the first that nobody has asked to hold, or one that has failed. */
function countOf(sql: Sql, table: Fragment, broker: string | null) {
  const target = broker === null ? sql`target_broker is null` : sql`target_broker = ${broker}`;
  const aside = (status: string) =>
    sql`(select count(*) from ${table} where status = ${status} and status in ('failed', 'abandoned') and ${target})`;
  return sql<OutboxStats[]>`
    select
      (select count(*) from ${table} where status = 'pending' and deliver_at is null and priority = 0 and ${target})::float8
        + (select count(*) from ${table} where status = 'pending' and deliver_at is null and priority <> 0 and ${target})
        + (select count(*) from ${table} where status = 'pending' and deliver_at is not null and ${target})
        as pending,
      ${aside('failed')}::float8 as failed,
      ${aside('abandoned')}::float8 as abandoned,
      (select case when count(*) > 0 then ${ageMs(sql, sql`min(created_at) filter (where isfinite(created_at))`)} end
        from (
        (select created_at from ${table}
          where status = 'pending' and deliver_at is null and priority = 0 and ${target} order by id limit 1)
        union all (select created_at from ${table}
          where status = 'pending' and deliver_at is null and priority <> 0 and ${target} order by target_broker, id limit 1)
        union all (select created_at from ${table} where status = 'failed' and ${target})
      ) oldest)::float8 as "oldestPendingMs"`;
}

interface Swept {
  readonly deleted: number;
  /** The last id that was looked at; null at the end of the table. */
  readonly last: string | null;
  /** Whether it was a row younger than any that may go: those behind it are younger still. */
  readonly reachedTheYoung: boolean;
}

/**
 * Looks at the next `limit` rows by id and deletes those that are old enough. There is no index on times: ids grow with
 * time, so what may go stands at the beginning of the table, among the few that are kept longer.
 */
async function sweep(
  sql: Sql,
  table: Fragment,
  after: string,
  publishedMs: number,
  abandonedMs: number,
  limit: number,
): Promise<Swept> {
  const ago = (ms: number) => sql`clock_timestamp() - ${ms}::float8 * interval '1 millisecond'`;
  const [swept] = await sql<Swept[]>`
    with looked_at as materialized (
      select id, created_at,
        (status = 'published' and published_at < ${ago(publishedMs)})
          or (status = 'abandoned' and coalesce(abandoned_at, created_at) < ${ago(abandonedMs)}) as old
      from ${table} where id > ${after}::bigint order by id limit ${limit}
    ), gone as (
      delete from ${table} o using looked_at l where o.id = l.id and l.old returning 1
    )
    select
      (select count(*) from gone)::float8 as deleted,
      (select max(id) from looked_at) as last,
      coalesce((select max(created_at) from looked_at) > ${ago(Math.min(publishedMs, abandonedMs))}, false)
        as "reachedTheYoung"`;
  return swept ?? { deleted: 0, last: null, reachedTheYoung: true };
}
