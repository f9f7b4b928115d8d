import type { Fragment, Sql } from 'postgres';
import type { OutboxConfig } from '../config/config.ts';
import type { OutboxRow, ReadRows } from './outbox.ts';

export type DueConfig = Pick<OutboxConfig, 'ordering' | 'maxMessageBytes' | 'maxBatchBytes'>;

export interface DuePlace {
  readonly index: number;
  readonly shards: number;
  /** Null: the rows that name no broker. */
  readonly broker: string | null;
}

export interface ReadRow extends Omit<OutboxRow, 'dataText' | 'metadataText' | 'kind'> {
  /** How many shards the database has: also where there are no rows, and then all else but the next is null. */
  readonly shards: string;
  /** Whether there are rows with a priority other than 0: then those that are read are not the ones to be published. */
  readonly prioritized: boolean;
  /** The size of a row whose texts are left out, else null. */
  readonly tooLarge: number | null;
  readonly dataText: string | null;
  readonly metadataText: string | null;
}

/** An array of bigint as PostgreSQL writes it: the driver is not asked to know the type. */
export const bigints = (ids: readonly string[]): string => `{${ids.join(',')}}`;

/** Each names, word for word, the condition of one kind of partial index. */
export const plain = (sql: Sql) => sql`o.status = 'pending' and o.deliver_at is null and o.priority = 0`;
export const prioritized = (sql: Sql) => sql`o.status = 'pending' and o.deliver_at is null and o.priority <> 0`;
export const scheduled = (sql: Sql) => sql`o.status = 'pending' and o.deliver_at <= now()`;
export const failed = (sql: Sql) => sql`o.status = 'failed' and o.next_retry_at <= now()`;

export const targetOf = (sql: Sql, row: 'o' | 'f', { broker }: DuePlace) =>
  broker === null ? sql`${sql(row)}.target_broker is null` : sql`${sql(row)}.target_broker = ${broker}`;

/**
 * Of this shard. By the function, not the operator: of the one the planner thinks that a third of the rows pass, of the
 * other one in two hundred, and then it expects to look at so many rows that it compiles the statement, for 70 ms.
 */
export const inShard = (sql: Sql, { index, shards }: DuePlace) =>
  sql`pg_catalog.int4eq(o.bucket::integer % ${shards}::integer, ${index}::integer)`;

/** By a subselect, which is hashed once: an array would be gone through for every row, 40 ms for a batch of 500. */
const notAmong = (sql: Sql, ids: readonly string[]) =>
  sql`o.id not in (select unnest(${bigints(ids)}::text::bigint[]))`;

/** What is asked of a row `o` beside its state: that it belongs here, is not in flight, and not behind a failed one. */
export function among(
  sql: Sql,
  table: Fragment,
  inFlight: ReadRows['inFlight'],
  { ordering }: DueConfig,
  place: DuePlace,
): Fragment {
  // The first subselect spares the others that look where none has failed.
  const notHeldBack =
    ordering === 'none'
      ? sql``
      : sql`and ((select not exists (select from ${table} f where f.status = 'failed' and ${targetOf(sql, 'f', place)}))
          or not exists (select from ${table} f where f.status = 'failed' and f.stream_name = o.stream_name
            and f.id < o.id and ${targetOf(sql, 'f', place)} offset 0))`;
  return sql`${targetOf(sql, 'o', place)} and ${inShard(sql, place)}
      and ${notAmong(sql, inFlight)} ${notHeldBack}`;
}

/**
 * The oldest rows that are due and have no priority. Three branches, each with a partial index of its own: pending,
 * scheduled and now due, failed and now due. A row is held back while an earlier one of its stream has failed.
 *
 * From the front each time, never behind the last row that was read: of two rows of one stream, both committed since, the
 * earlier may stand before that place and the later behind it, which would then be published first.
 */
export function selectOldest(
  sql: Sql,
  schema: string,
  { limit, inFlight }: ReadRows,
  config: DueConfig,
  place: DuePlace,
) {
  const table = sql`${sql(schema)}.outbox`;
  const branch = (state: Fragment) => sql`(
    select ${columns(sql)} from ${table} o where ${state} and ${among(sql, table, inFlight, config, place)}
    order by o.id limit ${limit})`;
  const rows = sql`${branch(plain(sql))} union all ${branch(scheduled(sql))} union all ${branch(failed(sql))}
    order by id limit ${limit}`;
  return selectBodies(sql, schema, rows, config, place);
}

/** Rows by their ids, as far as they still wait. */
export function selectThese(sql: Sql, schema: string, ids: readonly string[], config: DueConfig, place: DuePlace) {
  const rows = sql`select ${columns(sql)} from ${sql(schema)}.outbox o
    where o.id = any(${bigints(ids)}::text::bigint[]) and o.status in ('pending', 'failed')`;
  return selectBodies(sql, schema, rows, config, place);
}

/** How long ago a time was, 0 for one to come and for infinity, which PostgreSQL does not subtract. */
export const ageMs = (sql: Sql, time: Fragment) => sql`
  case when isfinite(${time}) then greatest(0, extract(epoch from clock_timestamp() - ${time}) * 1000)::float8 else 0 end`;

/** What a row takes, without unpacking it. */
export const storedBytes = (sql: Sql) => sql`pg_column_size(o.data) + pg_column_size(o.metadata)`;

const columns = (sql: Sql) => sql`
  o.id, o.message_id, o.stream_name, o.category, o.data, o.metadata, o.priority, o.partition_key, o.retry_count,
  o.created_at, ${storedBytes(sql)} as stored`;

/**
 * These rows with their texts. The batch is bounded by what is stored, so that bodies beyond its end are never unpacked;
 * those that are too large stay behind. The row of the setting is there in any case.
 */
function selectBodies(
  sql: Sql,
  schema: string,
  rows: Fragment,
  { maxMessageBytes, maxBatchBytes }: DueConfig,
  place: DuePlace,
) {
  return sql<ReadRow[]>`
    select setting.value::text as shards,
      exists (select from ${sql(schema)}.outbox o where ${prioritized(sql)} and ${targetOf(sql, 'o', place)}) as prioritized,
      due.id, due.message_id as "messageId", due.stream_name as stream, due.category,
      due.priority, due.partition_key as "partitionKey", due.retry_count::float8 + 1 as attempt,
      ${ageMs(sql, sql`due.created_at`)} as "ageMs",
      case when size > ${maxMessageBytes} then size end as "tooLarge",
      case when size <= ${maxMessageBytes} then data_text end as "dataText",
      case when size <= ${maxMessageBytes} then metadata_text end as "metadataText"
    from ${sql(schema)}.outbox_setting setting
    left join lateral (
      select *, data::text as data_text, metadata::text as metadata_text
      from (
        select *, sum(stored) over (order by id rows unbounded preceding) - stored as before
        from (${rows}) first_ones
      ) summed
      where before < ${maxBatchBytes}
      offset 0
    ) due on true
    left join lateral (select octet_length(data_text) + octet_length(metadata_text) as size offset 0) measured on true
    where setting.name = 'shards'
    order by due.id`;
}
