import type { Sql } from 'postgres';
import { textArray } from '../message/text-array.ts';
import type { Horizon, Writer } from './event-store.ts';
import { everything } from './event-store.ts';

type Ask = <T>(statement: (sql: Sql) => PromiseLike<T>) => Promise<T>;

/**
 * Whoever inserts into a table holds its lock of mode RowExclusiveLock from before the position is drawn until the
 * transaction has ended, and anybody may see that in pg_locks, prepared transactions included. A snapshot of running
 * transactions would not do: a transaction has no id of its own yet when it draws its first position.
 *
 * `write_message` takes the advisory lock of the category before that one, so a transaction that holds none writes past it.
 */
const writing = (sql: Sql) => sql`
  select lock.pid || ':' || lock.virtualtransaction as id, nullif(lock.pid, 0) as pid,
    nullif(activity.application_name, '') as application, activity.usename as "user",
    extract(epoch from clock_timestamp() - activity.xact_start) * 1000 as age
  from (
    select coalesce(pid, 0) as pid, virtualtransaction from pg_catalog.pg_locks
    where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
      and database = (select oid from pg_catalog.pg_database where datname = current_database())
      and relation = 'message_store.messages'::regclass
  ) as lock left join pg_catalog.pg_stat_activity activity on activity.pid = lock.pid`;

const holdsCategory = (sql: Sql) => sql`
  exists (select from pg_catalog.pg_locks held where held.locktype = 'advisory' and held.objsubid = 1 and held.granted
    and held.mode = 'ExclusiveLock' and held.virtualtransaction = lock.virtualtransaction)`;

interface Row {
  readonly id: string;
  readonly pid: number | null;
  readonly application: string | null;
  readonly user: string | null;
  readonly age: string | null;
}

/** The head first, then the writers, in two statements: within one, their order would be PostgreSQL's choice. */
export async function horizonOf(ask: Ask, headOf: () => Promise<bigint>, category: string): Promise<Horizon> {
  const head = await headOf();
  const rows = await ask(
    (sql) => sql<Row[]>`${writing(sql)} ${category === everything ? sql`` : sql`where not ${holdsCategory(sql)}`}`,
  );
  return { head, writers: rows.map(toWriter) };
}

/** Those of `writers` that are not over. */
export async function runningOf(ask: Ask, writers: readonly Writer[]): Promise<readonly Writer[]> {
  if (writers.length === 0) return [];
  const ids = textArray(writers.map(({ id }) => id));
  const rows = await ask(
    (sql) => sql<Row[]>`
      ${writing(sql)} where lock.pid || ':' || lock.virtualtransaction = any(${ids}::text::text[])`,
  );
  return rows.map(toWriter);
}

const toWriter = ({ id, pid, application, user, age }: Row): Writer => ({
  id,
  pid,
  application,
  user,
  ageMs: age === null ? null : Math.max(0, Math.round(Number(age))),
});
