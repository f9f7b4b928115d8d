import type { Sql } from 'postgres';
import type { NewMessage } from '../message/compose.ts';
import { outboxArgument, outboxCall } from '../message/outbox-call.ts';
import { quoted } from './schema/schema.ts';

/** Writes messages to the outbox in one statement, in their order; their ids. */
export async function writeMessages(
  sql: Sql,
  schema: string,
  messages: readonly NewMessage[],
): Promise<readonly string[]> {
  const rows = await sql.unsafe<{ id: string }[]>(outboxCall(quoted(schema)), [outboxArgument(messages)]);
  return rows.map(({ id }) => id);
}
