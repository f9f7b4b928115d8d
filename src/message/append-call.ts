import { ConcurrencyError } from '../runtime/errors.ts';
import type { Append } from './append.ts';
import { textArray } from './text-array.ts';

/** Where the functions of Message DB look for each other: they name no schema. */
export const messageStorePath = 'message_store, public';

/** Puts that path before the caller's transaction, and answers the one it had. */
export const enterMessageStore = `
  select current_setting('search_path') as path, set_config('search_path', '${messageStorePath}', true) as entered`;

/** Puts back `$1`, the path that there was. */
export const leaveMessageStore = `select set_config('search_path', $1::text, true)`;

/**
 * The statement that appends to Message DB by its own functions: all messages at once, in their order; one row a message,
 * `position` its place in its stream. The locks of the categories are taken first and in one order, so that two appends
 * to the same categories do not wait for each other for ever; `stream_version` runs under them, which its argument sees
 * to, and each `write_message` checks the version again that it was given.
 */
export const appendCall = `
  with message as materialized (
    select * from unnest($1::text::text[], $2::text::bigint[], $3::text::text[], $4::text::text[], $5::text::text[],
      $6::text::text[], $7::text::boolean[]) with ordinality as m (stream, expected, id, type, data, metadata, numbered, place)
  ), locked as materialized (
    select count(message_store.acquire_lock(each.stream)) as held
    from (select stream from message group by stream order by message_store.category(stream), stream) as each
  ), stream as materialized (
    select each.stream, coalesce(message_store.stream_version(case when held > 0 then each.stream end), -1) as version
    from locked, (select distinct stream from message) as each
  ), placed as materialized (
    select message.*, version + row_number() over (partition by stream order by place) as position
    from message join stream using (stream)
  )
  select message_store.write_message(
    id, stream, type, data::jsonb,
    case when numbered then
      jsonb_set(jsonb_set(jsonb_set(metadata::jsonb,
        '{headers,id}', to_jsonb(stream || '-' || position)),
        '{domain,sequence_id}', to_jsonb(position::text)),
        '{domain,expected_version}', to_jsonb(position - 1))
    else metadata::jsonb end,
    expected) as position
  from placed order by place`;

/** The parameters of `appendCall`. The expected version goes with the first message of each append. */
export function appendParameters(appends: readonly Append[]): string[] {
  const rows = appends.flatMap(({ stream, expectedVersion, messages }) =>
    messages.map((message, index) => ({ ...message, stream, expected: index === 0 ? expectedVersion : null })),
  );
  const column = (of: (row: (typeof rows)[number]) => string | null) => textArray(rows.map(of));
  return [
    column(({ stream }) => stream),
    column(({ expected }) => (expected === null ? null : String(expected))),
    column(({ id }) => id),
    column(({ type }) => type),
    column(({ dataText }) => dataText),
    column(({ metadataText }) => metadataText),
    column(({ numbered, metadataText }) => String(numbered && metadataText !== null)),
  ];
}

/** The positions in the rows that `appendCall` answers, by whichever client: of the last message of each append. */
export function lastPositions(appends: readonly Append[], rows: readonly { readonly position: unknown }[]): number[] {
  let before = 0;
  return appends.map(({ messages }) => {
    before += messages.length;
    return Number(rows[before - 1]?.position);
  });
}

/** What an append throws to a stream that is not at the version its writer expected. `actual` null: not known. */
export function concurrencyError(
  stream: string,
  expected: number,
  actual: number | null,
  options?: ErrorOptions,
): ConcurrencyError {
  const is = actual === null ? 'is at another one' : actual === -1 ? 'is empty' : `is at ${actual}`;
  return new ConcurrencyError(
    `stream "${stream}" ${is}, not at the expected version ${expected}: load the aggregate again, and decide again`,
    options,
  );
}

/** The ConcurrencyError that Message DB means by what it raised; null where it is about something else. */
export function conflictIn(error: unknown): ConcurrencyError | null {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'P0001') return null;
  const told = /^Wrong expected version: (-?\d+) \(Stream: (.*), Stream Version: (-?\d+)\)$/s.exec(error.message);
  const [, expected, stream = '', actual] = told ?? [];
  return told === null ? null : concurrencyError(stream, Number(expected), Number(actual), { cause: error });
}
