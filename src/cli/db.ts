import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import type { PostgresqlConfig } from '../connection/postgresql.ts';
import { openDatabase } from '../connection/postgresql.ts';
import { currentVersion, setupScript } from '../outbox/schema/schema.ts';
import { setupDatabase } from '../outbox/schema/setup.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { Arguments } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';

const usage = 'domaind db setup|status|sql [--config FILE] [--env NAME] [--database NAME] [--json]';

/** `domaind db`: the tables and functions that domaind owns. */
export const db: Command = {
  name: 'db',
  summary: 'create or migrate the tables of domaind, show them, or print their SQL',
  help: `usage: ${usage}

  setup            create or migrate; as often as you like
  status           what is there
  sql              the SQL of setup, for those who run it themselves with psql
  --database NAME  one of [databases]; default: all of provider postgresql

example: domaind db setup --env production`,
  async run(argv, io) {
    const types = { config: 'string', env: 'string', database: 'string', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const [what, ...more] = given.positionals;
    if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const databases = chosen(config, given);
    if (what === 'setup') return setup(config, databases, given, io);
    if (what === 'status') return status(databases, given, io);
    if (what === 'sql') return printSql(config, databases, io);
    throw new UsageError(`${what ? `there is no db ${what}` : 'setup, status or sql?'}\nusage: ${usage}`);
  },
};

function chosen(config: Config, given: Arguments): readonly PostgresqlConfig[] {
  const all = [...config.databases.values()].flatMap((each) => (each.provider === 'postgresql' ? [each] : []));
  const name = given.text('database');
  const found = name === null ? all : all.filter((each) => each.name === name);
  if (found.length > 0) return found;
  const known = all.map((each) => each.name).join(', ') || 'none';
  const which = name === null ? 'a database' : `[databases.${name}]`;
  throw new MisconfiguredError('no_database', `${which} of provider postgresql is needed; defined: ${known}`);
}

async function setup(
  config: Config,
  databases: readonly PostgresqlConfig[],
  given: Arguments,
  io: Io,
): Promise<number> {
  const { normalized, camel } = config.domain;
  const externalBrokers = config.outbox?.externalBrokers ?? [];
  for (const each of databases) {
    const report = await opened(each, (database) =>
      setupDatabase(database, { normalized, camel, externalBrokers, shards: null }),
    );
    const { from, to, shards } = report;
    if (given.flag('json')) io.out(JSON.stringify({ database: each.name, schema: each.schema, from, to, shards }));
    else {
      const done = from === 0 ? 'set up' : from === to ? 'up to date' : `migrated from version ${from}`;
      io.out(
        `database "${each.name}", schema "${each.schema}": ${done}, version ${to}, ${shards} shard${shards === 1 ? '' : 's'}`,
      );
    }
  }
  return 0;
}

async function status(databases: readonly PostgresqlConfig[], given: Arguments, io: Io): Promise<number> {
  const found = await Promise.all(databases.map((each) => opened(each, (database) => look(database))));
  const rows = databases.map(({ name, schema }, index) => ({
    database: name,
    schema,
    known: currentVersion,
    ...found[index],
  }));
  if (given.flag('json')) io.out(JSON.stringify(rows));
  else {
    const cells = rows.map((row) => [
      row.database,
      row.schema,
      row.version === null || row.version === undefined ? 'not set up' : `${row.version} of ${row.known}`,
      row.domain ?? '-',
      String(row.shards ?? '-'),
      String(row.rows ?? '-'),
    ]);
    io.out(formatTable(['DATABASE', 'SCHEMA', 'VERSION', 'DOMAIN', 'SHARDS', 'OUTBOX ROWS'], cells, io.width));
  }
  return rows.every(({ version }) => version === currentVersion) ? 0 : 1;
}

interface Found {
  readonly version: number | null;
  readonly domain: string | null;
  readonly shards: number | null;
  /** Estimated: counting them may take long. */
  readonly rows: number | null;
}

async function look(database: ReturnType<typeof openDatabase>): Promise<Found> {
  const { schema } = database;
  const [there] = await database.bounded(
    (sql) => sql<{ found: boolean; rows: number | null }[]>`
      select to_regclass(${`"${schema}".outbox_setting`}) is not null as found,
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

async function opened<T>(
  config: PostgresqlConfig,
  work: (database: ReturnType<typeof openDatabase>) => Promise<T>,
): Promise<T> {
  const database = openDatabase(config, { notice: () => undefined });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

function printSql(config: Config, databases: readonly PostgresqlConfig[], io: Io): number {
  const { normalized, camel } = config.domain;
  for (const { schema } of databases) {
    const settings = {
      version: currentVersion,
      domain: normalized,
      camel,
      shards: 1,
      external_brokers: config.outbox?.externalBrokers ?? [],
    };
    io.out(setupScript({ schema, settings, from: 0 }));
  }
  return 0;
}
