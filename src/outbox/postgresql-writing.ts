import type { Sql } from 'postgres';
import type { NewMessage } from '../message/compose.ts';
import { outboxCall, outboxParameters } from '../message/outbox-call.ts';

/** Writes messages to the outbox in one statement, in their order; their ids. */
export async function writeMessages(
  sql: Sql,
  schema: string,
  messages: readonly NewMessage[],
): Promise<readonly string[]> {
  const rows = await sql.unsafe<{ id: string }[]>(outboxCall(schema), outboxParameters(messages));
  return rows.map(({ id }) => id);
}
