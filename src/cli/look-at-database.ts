import type { Config } from '../config/config.ts';
import type { Database } from '../connection/database.ts';
import type { MessageDbProblem } from '../event-store/message-db-check.ts';
import { messageDbProblems, messageDbVersion } from '../event-store/message-db-check.ts';
import { openMessageDb } from '../event-store/message-db-open.ts';
import { systemClock } from '../runtime/clock.ts';

/** What stands in a database, whoever made it; null where it is not said. */
export interface Found {
  readonly version: number | null;
  readonly domain: string | null;
  readonly shards: number | null;
  /** Estimated: counting them may take long. */
  readonly rows: number | null;
}

export async function look(database: Database): Promise<Found> {
  const { schema } = database;
  const [there] = await database.bounded(
    (sql) => sql<{ found: boolean; rows: number | null }[]>`
      select has_table_privilege(to_regclass(${`"${schema}".outbox_setting`}), 'select') is true as found,
        (select n_live_tup::float8 from pg_stat_user_tables where schemaname = ${schema} and relname = 'outbox') as rows`,
  );
  if (there?.found !== true) return { version: null, domain: null, shards: null, rows: null };
  const settings = await database.bounded(
    (sql) => sql<{ name: string; value: unknown }[]>`select name, value from ${sql(schema)}.outbox_setting`,
  );
  const value = (name: string) => settings.find((each) => each.name === name)?.value ?? null;
  const number = (name: string) => (typeof value(name) === 'number' ? Number(value(name)) : null);
  const domain = value('domain');
  return {
    version: number('version'),
    domain: typeof domain === 'string' ? domain : null,
    shards: number('shards'),
    rows: there.rows,
  };
}

export interface EventStoreFacts {
  readonly database: 'event store';
  readonly schema: 'message_store';
  /** Of Message DB; null where something is wrong. */
  readonly version: string | null;
  readonly problems: readonly MessageDbProblem[];
}

/** What is there of a Message DB; null where the event store is in memory. Throws UnavailableError. */
export async function lookAtEventStore({ eventStore }: Config): Promise<EventStoreFacts | null> {
  if (eventStore.provider === 'memory') return null;
  const database = openMessageDb({ ...eventStore, maxConnections: 1 }, { clock: systemClock, notice: () => undefined });
  try {
    const problems = await messageDbProblems(database);
    const version = problems.length === 0 ? await messageDbVersion(database) : null;
    return { database: 'event store', schema: 'message_store', version, problems };
  } finally {
    await database.close();
  }
}
