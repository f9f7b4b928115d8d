import type { ISql } from 'postgres';
import type { Database } from '../connection/database.ts';
import type { Positions, Progress } from './positions.ts';

interface Row {
  readonly position: string;
  readonly ahead: string;
  readonly failed: string;
  readonly started: string;
  readonly clean: boolean;
}

/**
 * Positions as rows of the table `event_position`, in the database of the handlers that they belong to. Arrays go and
 * come as texts, since the driver would have to ask for their types first.
 */
export function createPostgresqlPositions(database: Database): Positions {
  const table = (sql: ISql) => sql`${sql(database.schema)}.event_position`;
  const list = (sql: ISql, positions: readonly bigint[]) => sql`string_to_array(${positions.join(',')}, ',')::bigint[]`;
  const columns = (sql: ISql, of: string) => sql`
    ${sql(of)}.position::text as position, array_to_string(${sql(of)}.ahead, ',') as ahead,
    array_to_string(${sql(of)}.failed, ',') as failed, ${sql(of)}.started::text as started`;

  return {
    async claim(subscription, token, { position, failed }) {
      const [row] = await database.bounded(
        (sql) => sql<Row[]>`
          with before as (select clean from ${table(sql)} where subscription = ${subscription}),
          claimed as (
            insert into ${table(sql)} as kept (subscription, token, position, failed, clean)
            values (${subscription}, ${String(token)}::bigint, ${String(position)}::bigint, ${list(sql, sorted(failed))}, false)
            on conflict (subscription) do update
              set token = excluded.token, clean = false, updated_at = clock_timestamp()
              where kept.token <= excluded.token
            returning kept.*
          )
          select ${columns(sql, 'claimed')}, coalesce((select clean from before), true) as clean from claimed`,
      );
      return row === undefined ? null : progressOf(row);
    },
    async advance(subscription, token, { position, done, failed, mended }) {
      const written = await database.bounded(
        (sql) => sql`
          update ${table(sql)} set
            position = greatest(position, ${String(position)}::bigint),
            ahead = array(select distinct each from unnest(ahead || ${list(sql, [...done, ...failed])}) each
              where each > greatest(position, ${String(position)}::bigint) order by each),
            failed = array(select distinct each from unnest(failed || ${list(sql, failed)}) each
              where each <> all (${list(sql, mended)}) order by each),
            started = coalesce((select jsonb_object_agg(key, value) from jsonb_each(started)
              where (key::bigint > greatest(position, ${String(position)}::bigint) or key::bigint = any (failed))
                and key::bigint <> all (${list(sql, [...done, ...failed, ...mended])})), '{}'),
            updated_at = clock_timestamp()
          where subscription = ${subscription} and token = ${String(token)}::bigint`,
      );
      return written.count === 1;
    },
    async start(subscription, token, position) {
      const key = String(position);
      const written = await database.bounded(
        (sql) => sql`
          update ${table(sql)}
          set started = started || jsonb_build_object(${key}::text, coalesce((started ->> ${key})::integer, 0) + 1)
          where subscription = ${subscription} and token = ${String(token)}::bigint`,
      );
      return written.count === 1;
    },
    async release(subscription, token) {
      await database.bounded(
        (sql) => sql`
          update ${table(sql)} set clean = true
          where subscription = ${subscription} and token = ${String(token)}::bigint`,
      );
    },
    async record(sql, subscription, token, { position, done, mended }) {
      if (sql === null) throw new TypeError('a position in PostgreSQL is written in the transaction of the handler');
      const written = await sql`
        update ${table(sql)} set
          position = greatest(position, ${String(position)}::bigint),
          ahead = array(select each from unnest(ahead || ${list(sql, done)}) each
            where each > greatest(position, ${String(position)}::bigint) order by each),
          failed = array(select each from unnest(failed) each where each <> all (${list(sql, mended)}) order by each),
          updated_at = clock_timestamp()
        where subscription = ${subscription} and token = ${String(token)}::bigint
          and position < all (${list(sql, done)}) and not ahead && ${list(sql, done)} and failed @> ${list(sql, mended)}`;
      if (written.count === 1) return 'recorded';
      const [row] = await sql<{ ours: boolean }[]>`
        select token = ${String(token)}::bigint as ours from ${table(sql)} where subscription = ${subscription}`;
      return row?.ours === true ? 'duplicate' : 'fenced';
    },
    async look(subscription) {
      const [row] = await database.bounded(
        (sql) => sql<Row[]>`
          select ${columns(sql, 'kept')}, clean from ${table(sql)} kept where subscription = ${subscription}`,
      );
      return row === undefined ? null : progressOf(row);
    },
    async reset(sql, subscription, token, position) {
      if (sql === null) throw new TypeError('a position in PostgreSQL is set back in a transaction of the caller');
      await sql`
        insert into ${table(sql)} as kept (subscription, token, position)
        values (${subscription}, ${String(token)}::bigint, ${String(position)}::bigint)
        on conflict (subscription) do update set token = greatest(kept.token, excluded.token),
          position = excluded.position, ahead = '{}', failed = '{}', started = '{}', clean = true,
          updated_at = clock_timestamp()`;
    },
  };
}

const progressOf = ({ position, ahead, failed, started, clean }: Row): Progress => ({
  position: BigInt(position),
  ahead: positionsIn(ahead),
  failed: positionsIn(failed),
  started: new Map(
    Object.entries(JSON.parse(started) as Record<string, number>).map(([key, times]) => [BigInt(key), times]),
  ),
  clean,
});

const sorted = (positions: readonly bigint[]) => [...positions].sort((one, other) => (one < other ? -1 : 1));

const positionsIn = (text: string): readonly bigint[] => (text === '' ? [] : text.split(',').map(BigInt));
