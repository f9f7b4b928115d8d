import type { Sql } from 'postgres';
import type { Database } from '../connection/database.ts';
import type { LeaseStore } from '../runtime/lease.ts';

/**
 * Leases as rows of the table `lease`, by the clock of the database alone: clock_timestamp(), since now() stands still
 * while a statement waits for a lock. Rows stay when they are released, so that tokens only ever grow.
 */
export function createPostgresqlLeases(database: Database): LeaseStore {
  const table = (sql: Sql) => sql`${sql(database.schema)}.lease`;
  return {
    async acquire(name, owner, ttlMs) {
      const [held] = await database.bounded(
        (sql) => sql<{ token: string }[]>`
          insert into ${table(sql)} as held (name, owner, token, expires_at)
          values (${name}, ${owner}, 1, clock_timestamp() + ${ttlMs}::float8 * interval '1 millisecond')
          on conflict (name) do update set
            owner = excluded.owner,
            token = held.token + case when held.owner = excluded.owner and held.expires_at > clock_timestamp() then 0 else 1 end,
            expires_at = clock_timestamp() + ${ttlMs}::float8 * interval '1 millisecond'
          where held.owner = excluded.owner or held.expires_at <= clock_timestamp()
          returning token::text as token`,
      );
      return held?.token ?? null;
    },
    async renew(name, owner, token, ttlMs) {
      const renewed = await database.bounded(
        (sql) => sql`
          update ${table(sql)} set expires_at = clock_timestamp() + ${ttlMs}::float8 * interval '1 millisecond'
          where name = ${name} and owner = ${owner} and token = ${token}::bigint and expires_at > clock_timestamp()`,
      );
      return renewed.count === 1;
    },
    async live(prefix) {
      const rows = await database.bounded(
        (sql) => sql<{ name: string }[]>`
          select name from ${table(sql)} where starts_with(name, ${prefix}) and expires_at > clock_timestamp() order by name`,
      );
      return rows.map(({ name }) => name);
    },
    async release(name, owner, token) {
      await database.bounded(
        (sql) => sql`
          update ${table(sql)} set expires_at = clock_timestamp()
          where name = ${name} and owner = ${owner} and token = ${token}::bigint and expires_at > clock_timestamp()`,
      );
    },
  };
}
