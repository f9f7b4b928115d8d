import type { Sql } from 'postgres';
import type { OutboxConfig } from '../config/config.ts';
import type { Database } from '../connection/database.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { Failure } from '../runtime/failure.ts';
import type { Emit } from '../telemetry/event.ts';
import type { Outbox, OutboxRow, ReadRows, Refusal } from './outbox.ts';
import type { DueConfig, DuePlace, ReadRow } from './postgresql-due.ts';
import { bigints, selectOldest, selectThese } from './postgresql-due.ts';
import { createPrioritized } from './postgresql-prioritized.ts';
import { tooLarge } from './too-large.ts';

export interface ShardConfig extends DueConfig, Pick<OutboxConfig, 'broker'> {
  /** Rows are deleted, not marked, when their publication is confirmed. */
  readonly keepPublished: boolean;
}

export interface ShardPlace extends DuePlace {
  readonly leaseName: string;
}

export interface ShardDeps {
  readonly database: Database;
  readonly emit: Emit;
}

interface TooLargeRow extends ReadRow {
  readonly size: number;
}

/** One shard of the table `outbox`. */
export function createPostgresqlShard(config: ShardConfig, place: ShardPlace, deps: ShardDeps): Outbox {
  const { broker, maxMessageBytes, keepPublished } = config;
  const { shards, leaseName } = place;
  const { database, emit } = deps;
  const choose = createPrioritized(config, place, deps);
  let prioritized = false;
  const table = (sql: Sql) => sql`${sql(database.schema)}.outbox`;

  return {
    async read(request) {
      const found = await readRows(request);
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

  /** One statement while no row has a priority, which each answer tells; else one more to choose them. */
  async function readRows(request: ReadRows): Promise<readonly ReadRow[]> {
    if (!prioritized) {
      const oldest = await database.bounded((sql) => selectOldest(sql, database.schema, request, config, place));
      if (!noted(oldest)) return oldest;
    }
    const ids = await choose(request);
    const chosen = await database.bounded((sql) => selectThese(sql, database.schema, ids, config, place));
    noted(chosen);
    return chosen;
  }

  function noted(found: readonly ReadRow[]): boolean {
    if (found[0]?.shards !== String(shards)) throw reshardedError(database.name, found[0]?.shards);
    prioritized = found[0].prioritized;
    return prioritized;
  }

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
          retry_count = least(o.retry_count, 2147483646) + 1,
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
      : `the outbox of database "${database}" has been cut into ${now} shards`,
  );
