import type { Database } from '../connection/database.ts';
import { MisconfiguredError } from '../runtime/errors.ts';

const functions = [
  'write_message',
  'get_category_messages',
  'get_stream_messages',
  'get_last_stream_message',
  'acquire_lock',
  'stream_version',
  'category',
];

interface Facts {
  readonly account: string;
  readonly there: boolean;
  readonly usage: boolean;
  readonly path: boolean;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly runnable: readonly string[] | null;
}

/**
 * Whether it is a Message DB that we may read and write. Throws MisconfiguredError with everything that is wrong and the
 * mends, UnavailableError when it cannot be reached.
 */
export async function checkMessageDb(database: Database): Promise<void> {
  const [facts] = await database.bounded(
    (sql) => sql<Facts[]>`
      select quote_ident(current_user) as account, space.oid is not null as there,
        coalesce(has_schema_privilege(space.oid, 'usage'), false) as usage,
        'message_store' = any(current_schemas(false)) as path,
        coalesce(has_table_privilege(messages.oid, 'select'), false) as readable,
        coalesce(has_table_privilege(messages.oid, 'insert'), false) as writable,
        (select json_agg(proname) from pg_catalog.pg_proc
          where pronamespace = space.oid and has_function_privilege(oid, 'execute')) as runnable
      from (select 1) always
        left join pg_catalog.pg_namespace space on space.nspname = 'message_store'
        left join pg_catalog.pg_class messages on messages.relnamespace = space.oid and messages.relname = 'messages'`,
  );
  const problems = facts === undefined ? [] : problemsOf(facts);
  if (problems.length === 0) return;
  throw new MisconfiguredError(
    'event_store_schema',
    `the event store is not ready\n${problems.map((each) => `  ${each}`).join('\n')}`,
  );
}

function problemsOf({ account, there, usage, path, readable, writable, runnable }: Facts): readonly string[] {
  if (!there) {
    return ['there is no schema message_store: install Message DB there, or mend [event_store] database_uri'];
  }
  if (!usage) {
    return [`${account} may not use the schema message_store: grant message_store to ${account}`];
  }
  const missing = functions.filter((name) => !(runnable ?? []).includes(name));
  return [
    ...(path
      ? []
      : [`the search path lacks message_store: alter role ${account} set search_path = message_store, public`]),
    ...(readable && writable ? [] : [`${account} may not read and write: grant message_store to ${account}`]),
    ...(missing.length === 0
      ? []
      : [
          `functions are missing or not allowed (${missing.join(', ')}): install Message DB 1.3, and grant message_store to ${account}`,
        ]),
  ];
}
