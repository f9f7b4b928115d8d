import type { Sql } from 'postgres';
import type { Database } from '../connection/database.ts';
import { columns } from '../outbox/postgresql-outbox-admin.ts';
import type { Millis } from '../runtime/clock.ts';
import type { InboxRow, RowIn } from './timeline.ts';

/** Only rows by id and by stream have an index, some of them: a table of millions is gone through. */
const searchMs: Millis = 600_000;

/** So many rows of one stream or correlation, oldest first. */
export const mostRows = 200;

/** Rows by any kind of id: of a row, a message, an aggregate's stream, a correlation, an idempotency key. */
export async function rowsOf(database: Database, id: string): Promise<readonly RowIn[]> {
  const { name, schema } = database;
  const isRow = /^\d{1,18}$/.test(id);
  const found = await database.bounded(
    (sql: Sql) => sql<Omit<RowIn, 'database'>[]>`
      select ${columns(sql)} from ${sql(schema)}.outbox o
      where ${isRow ? sql`o.id = ${id}::text::bigint or` : sql``} o.message_id = ${id} or o.stream_name = ${id}
        or o.correlation_id = ${id} or o.metadata #>> '{headers,idempotency_key}' = ${id}
      order by o.id limit ${mostRows}`,
    searchMs,
  );
  return found.map((row) => ({ database: name, ...row }));
}

/** What is known of messages that were handled. */
export async function inboxOf(database: Database, messages: readonly string[]): Promise<readonly InboxRow[]> {
  if (messages.length === 0) return [];
  const { name, schema } = database;
  const found = await database.bounded(
    (sql: Sql) => sql<Omit<InboxRow, 'database'>[]>`
      select message_id as "messageId", handler,
        to_char(processed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') as "processedAt"
      from ${sql(schema)}.inbox
      where message_id in (select jsonb_array_elements_text(${JSON.stringify(messages)}::text::jsonb))
      order by processed_at`,
  );
  return found.map((row) => ({ database: name, ...row }));
}
