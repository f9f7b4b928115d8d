import type { NewMessage } from './compose.ts';
import { textArray } from './text-array.ts';

/**
 * The statement that writes messages to an outbox by its SQL functions: all of them at once, in their order; one row a
 * message, `id` its message id. The payloads go as texts of their own: taken out of a larger JSON value, a `\u0000` or
 * half a surrogate pair in one would be refused. `schema` has been checked to be an identifier.
 */
export const outboxCall = (schema: string): string => `
  select case message.kind
    when 'EVENT' then "${schema}".outbox_raise_event(
      message.name, message.category, message.id, message.data::json, message.options::jsonb)
    else "${schema}".outbox_process_command(
      message.name, message.category, message.data::json, message.options::jsonb)
  end as id
  from unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[])
    with ordinality as message (kind, name, category, id, data, options, place)
  order by message.place`;

/** The parameters of `outboxCall`: six arrays, written as PostgreSQL writes them, so that no client need know the type. */
export function outboxParameters(messages: readonly NewMessage[]): string[] {
  const column = (of: (message: NewMessage) => string | null) => textArray(messages.map(of));
  return [
    column(({ kind }) => kind),
    column(({ name }) => name),
    column(({ category }) => category),
    column(({ id }) => id),
    column(({ dataText }) => dataText),
    column(({ kind, id, options }) => JSON.stringify(kind === 'COMMAND' && id !== null ? { ...options, id } : options)),
  ];
}
