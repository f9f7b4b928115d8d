import type { Fragment, Sql } from 'postgres';
import type { OutboxConfig } from '../config/config.ts';
import type { Database } from '../connection/database.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { Failure } from '../runtime/failure.ts';
import type { Emit } from '../telemetry/event.ts';
import type { Outbox, OutboxRow, ReadRows, Refusal } from './outbox.ts';
import { tooLarge } from './too-large.ts';

export interface ShardConfig extends Pick<OutboxConfig, 'broker' | 'ordering' | 'maxMessageBytes' | 'maxBatchBytes'> {
  /** Rows are deleted, not marked, when their publication is confirmed. */
  readonly keepPublished: boolean;
}

export interface ShardPlace {
  readonly index: number;
  readonly shards: number;
  /** Null: the rows that name no broker. */
  readonly broker: string | null;
  readonly leaseName: string;
}

export interface ShardDeps {
  readonly database: Database;
  readonly emit: Emit;
}

interface ReadRow extends Omit<OutboxRow, 'dataText' | 'metadataText' | 'kind'> {
  /** How many shards the database has: also where there are no rows, and then all else is null. */
  readonly shards: string;
  /** The size of a row whose texts are left out, else null. */
  readonly tooLarge: number | null;
  readonly dataText: string | null;
  readonly metadataText: string | null;
}

interface TooLargeRow extends ReadRow {
  readonly size: number;
}

/** One shard of the table `outbox`. */
export function createPostgresqlShard(config: ShardConfig, place: ShardPlace, deps: ShardDeps): Outbox {
  const { broker, maxMessageBytes, keepPublished } = config;
  const { shards, leaseName } = place;
  const { database, emit } = deps;
  const table = (sql: Sql) => sql`${sql(database.schema)}.outbox`;

  return {
    async read(request) {
      const found = await database.bounded((sql) =>
        selectDue(sql, table(sql), database.schema, request, config, place),
      );
      if (found[0]?.shards !== String(shards)) throw reshardedError(database.name, found[0]?.shards);
      const rows: OutboxRow[] = [];
      const tooLarge: TooLargeRow[] = [];
      for (const row of found) {
        const { dataText, metadataText, tooLarge: size } = row;
        if (dataText !== null && metadataText !== null) rows.push(toOutboxRow(row, dataText, metadataText));
        else if (size !== null) tooLarge.push({ ...row, size });
      }
      if (tooLarge.length > 0) await abandon(tooLarge);
      return rows;
    },
    async published(ids) {
      if (ids.length === 0) return;
      await database.bounded((sql) =>
        keepPublished
          ? sql`
              update ${table(sql)} set status = 'published', published_at = clock_timestamp(), next_retry_at = null
              where id = any(${bigints(ids)}::text::bigint[]) and status <> 'published'`
          : sql`delete from ${table(sql)} where id = any(${bigints(ids)}::text::bigint[])`,
      );
    },
    async refused(refusals, fence) {
      if (refusals.length > 0) await refuse(refusals, fence);
    },
  };

  /**
   * The lock on the lease's row makes the fence whole: no other owner can take the lease between the check and the
   * writing. Rows that are published by now stay so.
   */
  async function refuse(refusals: readonly Refusal[], fence: string | null): Promise<void> {
    const texts = refusals.map(({ id, failure, retryInMs }) => ({ id, error: storable(failure), in: retryInMs }));
    await database.bounded(
      (sql) => sql`
        with held as (
          select 1 from ${sql(database.schema)}.lease where name = ${leaseName} and token = ${fence}::bigint for share
        )
        update ${table(sql)} o set
          status = case when r."in" is null then 'abandoned' else 'failed' end,
          retry_count = o.retry_count + 1,
          next_retry_at = clock_timestamp() + r."in" * interval '1 millisecond',
          abandoned_at = case when r."in" is null then clock_timestamp() end,
          last_error = r.error || jsonb_build_object('time', clock_timestamp())
        from jsonb_to_recordset(${JSON.stringify(texts)}::text::jsonb) as r(id bigint, error jsonb, "in" float8)
        where o.id = r.id and o.status in ('pending', 'failed') and (${fence === null} or exists (select from held))`,
    );
  }

  /** No fence: they are too large for every owner. */
  async function abandon(rows: readonly TooLargeRow[]): Promise<void> {
    const refusals = rows.map(({ id, size }) => ({ id, failure: tooLarge(size, maxMessageBytes), retryInMs: null }));
    await refuse(refusals, null);
    for (const { messageId, category, attempt } of rows) {
      const about = {
        database: database.name,
        broker: place.broker ?? broker,
        stream: category,
        message_id: messageId,
      };
      emit({ event: 'outbox.row_abandoned', ...about, attempt, reason: 'too_large' });
    }
  }
}

/**
 * Rows that are due, by id. Three branches, each with a partial index of its own: pending, scheduled and now due, failed
 * and now due. A row is held back while an earlier one of its stream has failed; the first subselect spares the others
 * that look where none has. The batch is bounded by what is stored, so that bodies beyond its end are never unpacked;
 * those that are too large stay behind. The row of the setting is there in any case.
 */
function selectDue(
  sql: Sql,
  table: Fragment,
  schema: string,
  { limit, inFlight }: ReadRows,
  { ordering, maxMessageBytes, maxBatchBytes }: ShardConfig,
  { index, shards, broker }: ShardPlace,
) {
  const target = (row: 'o' | 'f') =>
    broker === null ? sql`${sql(row)}.target_broker is null` : sql`${sql(row)}.target_broker = ${broker}`;
  const notHeldBack =
    ordering === 'none'
      ? sql``
      : sql`and ((select not exists (select from ${table} f where f.status = 'failed' and ${target('f')}))
          or not exists (select from ${table} f where f.status = 'failed' and f.stream_name = o.stream_name
            and f.id < o.id and ${target('f')} offset 0))`;
  const branch = (condition: Fragment) => sql`(
    select o.id, o.message_id, o.stream_name, o.category, o.data, o.metadata, o.priority, o.partition_key,
      o.retry_count, o.created_at, pg_column_size(o.data) + pg_column_size(o.metadata) as stored
    from ${table} o
    where ${condition} and ${target('o')} and o.bucket % ${shards}::int = ${index}
      and o.id <> all (${bigints(inFlight)}::text::bigint[]) ${notHeldBack}
    order by o.id limit ${limit})`;
  return sql<ReadRow[]>`
    select setting.value::text as shards, due.id, due.message_id as "messageId", due.stream_name as stream, due.category,
      due.priority, due.partition_key as "partitionKey", due.retry_count + 1 as attempt,
      greatest(0, extract(epoch from clock_timestamp() - due.created_at) * 1000)::float8 as "ageMs",
      case when size > ${maxMessageBytes} then size end as "tooLarge",
      case when size <= ${maxMessageBytes} then data_text end as "dataText",
      case when size <= ${maxMessageBytes} then metadata_text end as "metadataText"
    from ${sql(schema)}.outbox_setting setting
    left join lateral (
      select *, data::text as data_text, metadata::text as metadata_text
      from (
        select *, sum(stored) over (order by id rows unbounded preceding) - stored as before
        from (
          ${branch(sql`o.status = 'pending' and o.deliver_at is null`)}
          union all ${branch(sql`o.status = 'pending' and o.deliver_at <= now()`)}
          union all ${branch(sql`o.status = 'failed' and o.next_retry_at <= now()`)}
          order by id limit ${limit}
        ) first_ones
      ) summed
      where before < ${maxBatchBytes}
      offset 0
    ) due on true
    left join lateral (select octet_length(data_text) + octet_length(metadata_text) as size offset 0) measured on true
    where setting.name = 'shards'
    order by due.id`;
}

/** Field by field: a spread takes longer here than the driver takes to read the row. */
function toOutboxRow(row: ReadRow, dataText: string, metadataText: string): OutboxRow {
  return {
    id: row.id,
    messageId: row.messageId,
    stream: row.stream,
    category: row.category,
    kind: row.category.endsWith(':command') ? 'COMMAND' : 'EVENT',
    dataText,
    metadataText,
    priority: row.priority,
    partitionKey: row.partitionKey,
    attempt: row.attempt,
    ageMs: row.ageMs,
  };
}

/** An array of bigint as PostgreSQL writes it: the driver is not asked to know the type. */
const bigints = (ids: readonly string[]): string => `{${ids.join(',')}}`;

/** Characters that jsonb cannot hold are replaced. */
function storable(failure: Failure): Failure {
  const clean = (text: string) => text.replace(/[\0\ud800-\udfff]/gu, '\ufffd');
  const { type, code, message, stack } = failure;
  return {
    type: clean(type),
    code: code === null ? null : clean(code),
    message: clean(message),
    stack: stack === null ? null : clean(stack),
  };
}

const reshardedError = (database: string, now: string | undefined) =>
  new MisconfiguredError(
    'outbox_resharded',
    now === undefined
      ? `database "${database}" is not set up: run \`domaind db setup\``
      : `the outbox of database "${database}" has been cut into ${now} shards: restart this replica`,
  );
