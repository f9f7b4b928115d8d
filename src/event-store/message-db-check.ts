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
  'message_store_version',
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

/** Throws MisconfiguredError with everything that is wrong and the mends, UnavailableError when it cannot be reached. */
export async function checkMessageDb(database: Database): Promise<void> {
  const problems = await messageDbProblems(database);
  if (problems.length === 0) return;
  const lines = problems.map(({ what, mend }) => `  ${what}: ${mend}`);
  throw new MisconfiguredError('event_store_schema', `the event store is not ready\n${lines.join('\n')}`);
}

/** Something about an event store that waiting does not mend, as `domaind db status` has it. */
export interface MessageDbProblem {
  readonly code: string;
  readonly what: string;
  readonly mend: string;
}

/** Whether it is a Message DB that we may read and write: everything that is wrong with it. */
export async function messageDbProblems(database: Database): Promise<readonly MessageDbProblem[]> {
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
  return facts === undefined ? [] : problemsOf(facts);
}

function problemsOf({ account, there, usage, path, readable, writable, runnable }: Facts): readonly MessageDbProblem[] {
  const grant = `grant message_store to ${account}`;
  const problem = (code: string, what: string, mend: string): MessageDbProblem => ({ code, what, mend });
  if (!there) {
    const mend = 'install Message DB there, or mend [event_store] database_uri';
    return [problem('schema_missing', 'there is no schema message_store', mend)];
  }
  if (!usage) return [problem('grant_missing', `${account} may not use the schema message_store`, grant)];
  const missing = functions.filter((name) => !(runnable ?? []).includes(name));
  const toPath = `alter role ${account} set search_path = message_store, public`;
  const install = `install Message DB 1.3, and ${grant}`;
  const absent = `functions are missing or not allowed (${missing.join(', ')})`;
  return [
    ...(path ? [] : [problem('search_path', 'the search path lacks message_store', toPath)]),
    ...(readable && writable
      ? []
      : [problem('grant_missing', `${account} may not read and write the messages`, grant)]),
    ...(missing.length === 0 ? [] : [problem('function_missing', absent, install)]),
  ];
}

/** What the store says of itself, `1.3.0`; null where it says nothing. */
export async function messageDbVersion(database: Database): Promise<string | null> {
  const [row] = await database.bounded(
    (sql) => sql<{ version: string }[]>`select message_store.message_store_version() as version`,
  );
  return row?.version ?? null;
}
