import type { Fragment, Sql } from 'postgres';
import type { Database } from '../connection/database.ts';
import type { Millis } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';
import type {
  Batch,
  LeaseFacts,
  OutboxAdmin,
  OutboxStatus,
  PublishedSpan,
  RowFacts,
  RowFilter,
  RowIds,
  RowWithPayload,
  StatusCount,
} from './outbox-admin.ts';
import { ageMs, plain, prioritized } from './postgresql-due.ts';

/** What looks through a whole table may take so long: it is asked for by people, now and then. */
const searchMs: Millis = 600_000;

/** A table beyond this is not counted row by row. */
const countedBytes = 256 * 1024 * 1024;

/** The outbox of a database that `setupDatabase` has set up, for its operator. */
export function createPostgresqlOutboxAdmin(database: Database): OutboxAdmin {
  const table = (sql: Sql) => sql`${sql(database.schema)}.outbox`;
  const search = <T>(statement: (sql: Sql) => PromiseLike<T>) => database.bounded(statement, searchMs);

  return {
    database: database.name,
    counts: () => search((sql) => countByStatus(sql, table(sql), database.schema)),
    async list(statuses, filter, limit) {
      const found = await search((sql) => selectRows(sql, table(sql), statuses, filter, limit));
      return found.map((row) => ({ ...row }));
    },
    async find(ids) {
      const found = await search(
        (sql) => sql<RowWithPayload[]>`
          select ${columns(sql)}, data::text as "dataText", metadata::text as "metadataText"
          from ${table(sql)} o where ${among(sql, ids)} order by id`,
      );
      return found.map((row) => ({ ...row }));
    },
    async retry(ids) {
      const back = await search(
        (sql) => sql<RowFacts[]>`
          update ${table(sql)} o set ${pendingAgain(sql)}
          where ${among(sql, ids)} and status in ('failed', 'abandoned') returning ${columns(sql)}`,
      );
      return back.map((row) => ({ ...row }));
    },
    retryAll: (status, filter, after, limit) =>
      search((sql) => {
        const which = sql`status = ${status} and status in ('failed', 'abandoned') ${filtered(sql, filter)}`;
        return inBatch(sql, table(sql), which, after, limit, (rows) => update(sql, table(sql), rows));
      }),
    async abandon(ids) {
      const words = {
        type: 'Abandoned',
        code: 'abandoned_by_operator',
        message: 'given up by an operator',
        stack: null,
      };
      const gone = await search(
        (sql) => sql<RowFacts[]>`
          update ${table(sql)} o set status = 'abandoned', abandoned_at = clock_timestamp(), next_retry_at = null,
            last_error = ${JSON.stringify(words)}::text::jsonb || jsonb_build_object('time', clock_timestamp())
          where ${among(sql, ids)} and status in ('pending', 'failed') returning ${columns(sql)}`,
      );
      return gone.map((row) => ({ ...row }));
    },
    async instant(at) {
      if (at !== null && 'iso' in at && Number.isNaN(Date.parse(at.iso))) throw new UsageError(`no time: ${at.iso}`);
      const [row] = await database.bounded((sql) => {
        const value =
          at === null
            ? sql`clock_timestamp()`
            : 'iso' in at
              ? sql`${at.iso}::text::timestamptz`
              : sql`clock_timestamp() - ${at.agoMs}::float8 * interval '1 millisecond'`;
        return sql<{ instant: string }[]>`select ${iso(sql, value)} as instant`;
      });
      return row?.instant ?? '';
    },
    async countPublished(span) {
      const [row] = await search(
        (sql) => sql<{ count: number }[]>`
          select count(*)::float8 as count from ${table(sql)} o where ${publishedIn(sql, span)}`,
      );
      return row?.count ?? 0;
    },
    replay: (span, after, limit) =>
      search((sql) =>
        inBatch(sql, table(sql), publishedIn(sql, span), after, limit, (rows) => update(sql, table(sql), rows)),
      ),
    purge: (status, before, after, limit) =>
      search((sql) => {
        const at = status === 'published' ? sql`published_at` : sql`coalesce(abandoned_at, created_at)`;
        const which = sql`status = ${status} and ${at} < ${before}::text::timestamptz`;
        const erase = (rows: Fragment) => sql`delete from ${table(sql)} o using ${rows} where o.id = picked.id`;
        return inBatch(sql, table(sql), which, after, limit, erase);
      }),
    async leases() {
      const rows = await database.bounded(
        (sql) => sql<LeaseFacts[]>`
          select name, owner, token::text as token,
            (extract(epoch from expires_at - clock_timestamp()) * 1000)::float8 as "expiresInMs"
          from ${sql(database.schema)}.lease order by name`,
      );
      return rows.map((row) => ({ ...row }));
    },
    close: () => database.close(),
  };
}

/** Each but the last has its partial index. The published ones have none, and may be millions. */
async function countByStatus(sql: Sql, table: Fragment, schema: string): Promise<readonly StatusCount[]> {
  const [row] = await sql<{ [key in OutboxStatus | 'bytes']: number }[]>`
    select bytes,
      (select count(*) from ${table} o where ${plain(sql)} and target_broker is null)::float8
        + (select count(*) from ${table} o where ${plain(sql)} and target_broker is not null)
        + (select count(*) from ${table} o where ${prioritized(sql)})
        + (select count(*) from ${table} where status = 'pending' and deliver_at is not null) as pending,
      (select count(*) from ${table} where status = 'failed' and status in ('failed', 'abandoned'))::float8 as failed,
      (select count(*) from ${table} where status = 'abandoned' and status in ('failed', 'abandoned'))::float8 as abandoned,
      case when bytes <= ${countedBytes}
        then (select count(*) from ${table} where status = 'published')::float8
        else (select greatest(0, reltuples)::float8 from pg_class where oid = relation)
      end as published
    from (
      select relation, pg_relation_size(relation)::float8 as bytes
      from (select ${`"${schema}".outbox`}::text::regclass as relation) named
    ) measured`;
  if (row === undefined) throw new TypeError('a select from one row has one row');
  const { pending, failed, abandoned, published, bytes } = row;
  const estimated = bytes > countedBytes;
  return [
    { status: 'pending', count: pending, estimated: false },
    { status: 'failed', count: failed, estimated: false },
    { status: 'abandoned', count: abandoned, estimated: false },
    {
      status: 'published',
      count: estimated ? Math.max(0, published - pending - failed - abandoned) : published,
      estimated,
    },
  ];
}

const iso = (sql: Sql, value: Fragment) =>
  sql`to_char((${value}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')`;

/** What RowFacts are read from, of rows `o`. */
export const columns = (sql: Sql) => sql`
  o.id, o.message_id as "messageId", o.stream_name as stream, o.category, o.type, o.status, o.priority,
  o.partition_key as "partitionKey", o.target_broker as "targetBroker", o.correlation_id as "correlationId",
  o.causation_id as "causationId", o.retry_count as "retryCount", ${iso(sql, sql`o.next_retry_at`)} as "nextRetryAt",
  ${iso(sql, sql`o.deliver_at`)} as "deliverAt", ${iso(sql, sql`o.created_at`)} as "createdAt",
  ${iso(sql, sql`o.published_at`)} as "publishedAt", ${iso(sql, sql`o.abandoned_at`)} as "abandonedAt",
  ${ageMs(sql, sql`o.created_at`)} as "ageMs", o.last_error as "lastError"`;

/** Arrays as PostgreSQL writes them: the driver is not asked to know the types. Message ids have no index. */
function among(sql: Sql, { rows, messages }: RowIds): Fragment {
  const byRow = sql`o.id = any(${`{${rows.join(',')}}`}::text::bigint[])`;
  if (messages.length === 0) return byRow;
  const ids = sql`select jsonb_array_elements_text(${JSON.stringify(messages)}::text::jsonb)`;
  return sql`(${byRow} or o.message_id in (${ids}))`;
}

const filtered = (sql: Sql, { stream, type, olderThanMs }: RowFilter) => sql`
  ${stream === null ? sql`` : sql`and ${stream} in (o.stream_name, o.category)`}
  ${type === null ? sql`` : sql`and (o.type = ${type} or split_part(o.type, '.', 2) = ${type})`}
  ${
    olderThanMs === null
      ? sql``
      : sql`and o.created_at < clock_timestamp() - ${olderThanMs}::float8 * interval '1 millisecond'`
  }`;

/** One branch for each partial index, or the search would go through all that has been published. */
function selectRows(sql: Sql, table: Fragment, statuses: readonly OutboxStatus[], filter: RowFilter, limit: number) {
  const branch = (condition: Fragment, order: Fragment) => sql`
    (select ${columns(sql)} from ${table} o where ${condition} ${filtered(sql, filter)} order by o.id ${order} limit ${limit})`;
  const of: { readonly [status in OutboxStatus]: readonly Fragment[] } = {
    pending: [
      branch(sql`${plain(sql)} and o.target_broker is null`, sql`asc`),
      branch(sql`${plain(sql)} and o.target_broker is not null`, sql`asc`),
      branch(prioritized(sql), sql`asc`),
      branch(sql`o.status = 'pending' and o.deliver_at is not null`, sql`asc`),
    ],
    failed: [branch(sql`o.status = 'failed' and o.status in ('failed', 'abandoned')`, sql`asc`)],
    abandoned: [branch(sql`o.status = 'abandoned' and o.status in ('failed', 'abandoned')`, sql`asc`)],
    published: [branch(sql`o.status = 'published'`, sql`desc`)],
  };
  const branches = statuses.flatMap((status) => of[status]);
  const all = branches.reduce((before, next) => sql`${before} union all ${next}`);
  return sql<RowFacts[]>`
    select * from (${all}) found
    order by status = 'published', case when status = 'published' then -id else id end limit ${limit}`;
}

const pendingAgain = (sql: Sql) =>
  sql`status = 'pending', retry_count = 0, next_retry_at = null, published_at = null, abandoned_at = null`;

const update = (sql: Sql, table: Fragment, rows: Fragment) =>
  sql`update ${table} o set ${pendingAgain(sql)} from ${rows} where o.id = picked.id`;

const publishedIn = (sql: Sql, { since, until, stream }: PublishedSpan) => sql`
  status = 'published' and published_at >= ${since}::text::timestamptz and published_at < ${until}::text::timestamptz
  ${stream === null ? sql`` : sql`and ${stream} in (o.stream_name, o.category)`}`;

/** Picks the next rows by id, locked so that nobody's change is overwritten, and changes them in the same statement. */
async function inBatch(
  sql: Sql,
  table: Fragment,
  condition: Fragment,
  after: string,
  limit: number,
  change: (rows: Fragment) => Fragment,
): Promise<Batch> {
  const [batch] = await sql<Batch[]>`
    with picked as materialized (
      select o.id from ${table} o where o.id > ${after}::text::bigint and ${condition}
      order by o.id limit ${limit} for update
    ), changed as (${change(sql`picked`)} returning o.id)
    select (select count(*) from changed)::float8 as count, (select max(id) from picked) as last`;
  return batch ?? { count: 0, last: null };
}
