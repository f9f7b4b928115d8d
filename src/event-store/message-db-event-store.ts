import type { Sql } from 'postgres';
import type { Database } from '../connection/database.ts';
import type { Append } from '../message/append.ts';
import { appendCall, appendParameters, conflictIn, lastPositions } from '../message/append-call.ts';
import { subscriptionStreams } from '../message/stream-name.ts';
import { textArray } from '../message/text-array.ts';
import { DomaindError, MisconfiguredError } from '../runtime/errors.ts';
import type { EventStore, ReadFilter, StoredMessage } from './event-store.ts';
import { everything } from './event-store.ts';
import { checkMessageDb } from './message-db-check.ts';
import { horizonOf, runningOf } from './message-db-writers.ts';

/**
 * An event store in Message DB, by the functions of its interface; what these do not have (`$all`, reading backwards, and
 * searching) is read from the table, which the role `message_store` may. `database` is a pool whose connections have
 * `message_store` in their search path, which the functions rely on.
 */
export function createMessageDbEventStore(database: Database): EventStore {
  /** As `bounded`, but says of a database that is no Message DB what to do about it. */
  async function ask<T>(statement: (sql: Sql) => PromiseLike<T>): Promise<T> {
    try {
      return await database.bounded(statement);
    } catch (error) {
      if (!(error instanceof MisconfiguredError) || error.code !== 'database_schema') throw error;
      const mend = 'install it there as its project says, or mend [event_store] database_uri';
      throw new MisconfiguredError('event_store_schema', `the event store is no Message DB: ${mend}`, { cause: error });
    }
  }

  async function positionsOf(appends: readonly Append[]): Promise<readonly number[] | null> {
    const ids = appends.flatMap(({ messages }) => messages.map(({ id }) => id));
    const rows = await ask(
      (sql) => sql<{ id: string; position: string }[]>`
        select id::text, position::text from message_store.messages where id = any(${textArray(ids)}::text::uuid[])`,
    );
    const found = new Map(rows.map(({ id, position }) => [id, position]));
    if (!ids.every((id) => found.has(id.toLowerCase()))) return null;
    return lastPositions(
      appends,
      ids.map((id) => ({ position: found.get(id.toLowerCase()) })),
    );
  }

  const lastOf = async (category: string): Promise<bigint> => {
    const [row] = await ask(
      (sql) => sql<{ head: string }[]>`
        select coalesce(max(global_position), 0)::text as head from message_store.messages ${within(sql, category)}`,
    );
    return BigInt(row?.head ?? 0);
  };

  return {
    provider: 'message_db',
    async append(appends) {
      try {
        const rows = await ask((sql) => sql.unsafe<{ position: string }[]>(appendCall, appendParameters(appends)));
        return lastPositions(appends, rows);
      } catch (error) {
        const cause = error instanceof DomaindError ? error.cause : error;
        const conflict = conflictIn(cause);
        if (conflict === null && !isTaken(cause)) throw error;
        const before = await positionsOf(appends);
        if (before === null) throw conflict ?? error;
        return before;
      }
    },
    async readStream(stream, position, limit) {
      const rows = await ask(
        (sql) => sql<Row[]>`
          select ${columns(sql)} from message_store.get_stream_messages(
            ${stream}, ${String(Math.max(0, position))}::bigint, ${String(limit)}::bigint)`,
      );
      return rows.map(toMessage);
    },
    async readCategory(category, from, limit, filter) {
      const rows = await ask((sql) =>
        category === everything || filter !== undefined
          ? sql<Row[]>`
              select ${columns(sql)} from message_store.messages
              ${within(sql, category)} and global_position >= ${String(from)}::bigint ${searched(sql, filter)}
              order by messages.global_position limit ${String(limit)}::bigint`
          : sql<Row[]>`
              select ${columns(sql)} from message_store.get_category_messages(
                ${category}, ${String(from)}::bigint, ${String(limit)}::bigint)`,
      );
      return rows.map(toMessage);
    },
    async readJson(category, from, limit) {
      const [row] = await ask(
        (sql) => sql<{ page: string }[]>`
          select '[' || coalesce(string_agg(
            '{"stream":' || to_json(stream_name) || ',"position":' || position || ',"at":"' || global_position
              || '","data":' || data || ',"metadata":' || coalesce(metadata::text, 'null') || '}', ','), '') || ']' as page
          from (${
            category === everything
              ? sql`
                  select stream_name, position, global_position, data::text, metadata from message_store.messages
                  where global_position >= ${String(from)}::bigint
                  order by global_position limit ${String(limit)}::bigint`
              : sql`
                  select stream_name, position, global_position, data, metadata
                  from message_store.get_category_messages(
                    ${category}, ${String(from)}::bigint, ${String(limit)}::bigint)`
          }) page`,
      );
      return row?.page ?? '[]';
    },
    async readBackwards(category, before, limit) {
      const rows = await ask(
        (sql) => sql<Row[]>`
          select ${columns(sql)} from message_store.messages
          ${within(sql, category)} ${before === null ? sql`` : sql`and global_position < ${String(before)}::bigint`}
          order by messages.global_position desc limit ${String(limit)}::bigint`,
      );
      return rows.map(toMessage);
    },
    async lastMessage(stream, type) {
      const [row] = await ask(
        (sql) => sql<Row[]>`
          select ${columns(sql)} from message_store.get_last_stream_message(${stream}, ${type ?? null}::varchar)`,
      );
      return row === undefined ? null : toMessage(row);
    },
    head: lastOf,
    async behind(category, position, limit) {
      const [row] = await ask(
        (sql) => sql<{ count: string; oldest: string | null }[]>`
          select count(*)::text as count,
            (extract(epoch from (now() at time zone 'utc') - (array_agg(time order by global_position))[1]) * 1000)::text as oldest
          from (
            select time, global_position from message_store.messages
            ${within(sql, category)} and global_position > ${String(position)}::bigint
              and stream_name !~ ${subscriptionStreams} order by global_position limit ${String(limit)}::bigint
          ) beyond`,
      );
      const oldestMs = row?.oldest == null ? null : Math.max(0, Math.round(Number(row.oldest)));
      return { count: Number(row?.count ?? 0), oldestMs };
    },
    horizon: (category) => horizonOf(ask, () => lastOf(everything), category),
    running: (writers) => runningOf(ask, writers),
    async ping() {
      await database.bounded((sql) => sql`select 1`);
    },
    check: () => checkMessageDb(database),
    close: () => database.close(),
  };
}

interface Row {
  readonly id: string;
  readonly stream: string;
  readonly type: string;
  readonly position: string;
  readonly globalPosition: string;
  readonly data: string;
  readonly metadata: string | null;
  readonly time: string;
}

/** As the type `message` and the table have them; bigints as texts, the time with its zone, which is UTC. */
const columns = (sql: Sql) => sql`
  id::text, stream_name as stream, type, position::text, global_position::text as "globalPosition", data::text,
  metadata::text, to_char(time, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') as time`;

/** By the index on `category(stream_name), global_position`. */
const within = (sql: Sql, category: string) =>
  category === everything ? sql`where true` : sql`where message_store.category(stream_name) = ${category}`;

function searched(sql: Sql, filter: ReadFilter | undefined) {
  const { correlationId = null, originStream = null, type = null } = filter ?? {};
  return sql`
    ${correlationId === null ? sql`` : sql`and metadata #>> '{domain,correlation_id}' = ${correlationId}`}
    ${originStream === null ? sql`` : sql`and metadata #>> '{domain,origin_stream}' = ${originStream}`}
    ${type === null ? sql`` : sql`and type = ${type}`}`;
}

const toMessage = ({ position, globalPosition, data, metadata, ...rest }: Row): StoredMessage => ({
  ...rest,
  position: Number(position),
  globalPosition: BigInt(globalPosition),
  dataText: data,
  metadataText: metadata,
});

/** The id of a message is there already. */
const isTaken = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  error.code === '23505' &&
  'constraint_name' in error &&
  error.constraint_name === 'messages_id';
