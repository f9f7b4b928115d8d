import type { NewMessage } from './compose.ts';

/**
 * The statement that writes messages to an outbox by its SQL functions: all of them at once, in their order.
 * `$1` is the JSON text of an array of NewMessage, with `data` for its `dataText`; one row a message, `id` its message id.
 * `schema` is quoted.
 */
export const outboxCall = (schema: string): string => `
  select case message.kind
    when 'EVENT' then ${schema}.outbox_raise_event(message.name, message.category, message.id, message.data, message.options)
    else ${schema}.outbox_process_command(message.name, message.category, message.data, message.options)
  end as id
  from rows from (
    json_to_recordset($1::text::json) as (kind text, name text, category text, id text, data json, options jsonb)
  ) with ordinality as message (kind, name, category, id, data, options, place)
  order by message.place`;

/** The argument of `outboxCall`. The payloads stand as they are: text of JSON in text of JSON. */
export function outboxArgument(messages: readonly NewMessage[]): string {
  const texts = messages.map(({ kind, name, category, id, dataText, options }) => {
    const all = kind === 'COMMAND' && id !== null ? { ...options, id } : options;
    return `{"data":${dataText},${JSON.stringify({ kind, name, category, id, options: all }).slice(1)}`;
  });
  return `[${texts.join(',')}]`;
}
