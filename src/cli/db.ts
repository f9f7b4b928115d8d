import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import type { Database } from '../connection/database.ts';
import type { PostgresqlConfig } from '../connection/postgresql.ts';
import { openDatabase } from '../connection/postgresql.ts';
import type { Problem } from '../outbox/schema/check.ts';
import { checkDatabase } from '../outbox/schema/check.ts';
import { reshard } from '../outbox/schema/reshard.ts';
import { currentVersion, setupScript, worksWith } from '../outbox/schema/schema.ts';
import type { SetupOptions } from '../outbox/schema/setup.ts';
import { setupDatabase } from '../outbox/schema/setup.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { Arguments } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { look, lookAtEventStore } from './look-at-database.ts';
import { formatTable } from './table.ts';

const usage =
  'domaind db setup|shards N|status|sql [--config FILE] [--env NAME] [--database NAME] [--shards N] [--from N] [--json]';

/** `domaind db`: the tables and functions that domaind owns. */
export const db: Command = {
  name: 'db',
  summary: 'create or migrate the tables of domaind, show them, or print their SQL',
  help: `usage: ${usage}

  setup            create or migrate; as often as you like
    --shards N     how many relays may share the outbox
  shards N         cut the outbox into N shards, 1 to 1024, while the daemon runs: its relays begin anew
  status           what is there, the event store too, and what is wrong with it; exit 1 where something is
  sql              the SQL of setup, for those who run it themselves with psql
    --from N       the version that the database has; default 0: nothing
  --database NAME  one of [databases]; default: all of provider postgresql

example: domaind db setup --env production`,
  async run(argv, io) {
    const types = {
      config: 'string',
      env: 'string',
      database: 'string',
      shards: 'string',
      from: 'string',
      json: 'boolean',
      debug: 'boolean',
    } as const;
    const given = parseArguments(argv, types, usage);
    const [what, ...stated] = given.positionals;
    const more = what === 'shards' ? stated.slice(1) : stated;
    if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
    if (what !== 'setup' && what !== 'shards' && what !== 'status' && what !== 'sql') {
      throw new UsageError(`${what ? `there is no db ${what}` : 'setup, shards, status or sql?'}\nusage: ${usage}`);
    }
    const wanted =
      what === 'shards'
        ? { shards: countIn(stated[0]), from: null }
        : { shards: within(given, 'shards', 1, 1_024), from: within(given, 'from', 0, currentVersion) };
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const asked: Asked = {
      config,
      databases: chosen(config, given),
      json: given.flag('json'),
      onlyOne: given.text('database') !== null,
      ...wanted,
    };
    return { setup, shards, status, sql }[what](asked, io);
  },
};

interface Asked {
  readonly config: Config;
  readonly databases: readonly PostgresqlConfig[];
  readonly json: boolean;
  /** One database was named: the others, and the event store, are left out. */
  readonly onlyOne: boolean;
  readonly shards: number | null;
  readonly from: number | null;
}

function within(given: Arguments, option: string, least: number, most: number): number | null {
  const value = given.number(option, least);
  if (value === null || value <= most) return value;
  throw new UsageError(`--${option} must be at most ${most}, got ${value}\nusage: ${usage}`);
}

function countIn(text: string | undefined): number {
  const count = Number(text);
  if (text !== undefined && /^\d+$/.test(text) && count >= 1 && count <= 1_024) return count;
  throw new UsageError(`how many shards? 1 to 1024${text === undefined ? '' : `, got "${text}"`}\nusage: ${usage}`);
}

function chosen(config: Config, given: Arguments): readonly PostgresqlConfig[] {
  const all = [...config.databases.values()].flatMap((each) => (each.provider === 'postgresql' ? [each] : []));
  const name = given.text('database');
  const found = name === null ? all : all.filter((each) => each.name === name);
  if (found.length > 0) return found;
  const known = all.map((each) => each.name).join(', ') || 'none';
  const which = name === null ? 'a database' : `[databases.${name}]`;
  throw new MisconfiguredError('no_database', `${which} of provider postgresql is needed; defined: ${known}`);
}

const wantedBy = ({ config: { domain, outbox }, shards }: Asked): SetupOptions => ({
  normalized: domain.normalized,
  camel: domain.camel,
  externalBrokers: outbox?.externalBrokers ?? [],
  shards,
});

async function withEach<T>({ databases }: Asked, work: (database: Database) => Promise<T>): Promise<readonly T[]> {
  const results: T[] = [];
  for (const each of databases) {
    const database = openDatabase(each, { notice: () => undefined });
    try {
      results.push(await work(database));
    } finally {
      await database.close();
    }
  }
  return results;
}

async function setup(asked: Asked, io: Io): Promise<number> {
  await withEach(asked, async (database) => {
    const { from, to, shards } = await setupDatabase(database, wantedBy(asked));
    const { name, schema } = database;
    if (asked.json) return io.out(JSON.stringify({ database: name, schema, from, to, shards }));
    const done = from === 0 ? 'set up' : from === to ? 'up to date' : `migrated from version ${from}`;
    const cut = `${shards} shard${shards === 1 ? '' : 's'}`;
    io.out(`database "${name}", schema "${schema}": ${done}, version ${to}, ${cut}`);
  });
  return 0;
}

async function shards(asked: Asked, io: Io): Promise<number> {
  const count = asked.shards ?? 1;
  await withEach(asked, async (database) => {
    const { from, to } = await reshard(database, count);
    const { name, schema } = database;
    if (asked.json) io.out(JSON.stringify({ database: name, schema, from, to }));
    else io.out(`database "${name}", schema "${schema}": ${from} → ${to} shard${to === 1 ? '' : 's'}`);
  });
  return 0;
}

async function status(asked: Asked, io: Io): Promise<number> {
  const found = await withEach(asked, async (database) => ({
    database: database.name,
    schema: database.schema,
    known: currentVersion,
    ...(await look(database)),
    problems: await checkDatabase(database, wantedBy(asked)),
  }));
  const store = asked.onlyOne ? null : await lookAtEventStore(asked.config);
  const problems = [...found.flatMap((each) => each.problems), ...(store?.problems ?? [])];
  if (asked.json) io.out(JSON.stringify(store === null ? found : [...found, store]));
  else {
    const cells = found.map((row) => [
      row.database,
      row.schema,
      row.version === null ? 'not set up' : `${row.version} of ${row.known}`,
      row.domain ?? '-',
      String(row.shards ?? '-'),
      String(row.rows ?? '-'),
      row.problems.length === 0 ? 'ready' : `${row.problems.length} to mend`,
    ]);
    const headings = ['DATABASE', 'SCHEMA', 'VERSION', 'DOMAIN', 'SHARDS', 'OUTBOX ROWS', 'STATE'];
    io.out(formatTable(headings, cells, io.isTty ? io.width : Number.POSITIVE_INFINITY));
    if (store !== null) io.out(`\nevent store: ${store.version ? `Message DB ${store.version}, ready` : 'not ready'}`);
    const all = store === null ? found : [...found, store];
    for (const each of all) for (const problem of each.problems) io.out(told(each.database, problem));
  }
  return problems.length === 0 ? 0 : 1;
}

const told = (database: string, { what, mend }: Problem): string =>
  `\ndatabase "${database}": ${what}\n  mend: ${mend}`;

async function sql(asked: Asked, io: Io): Promise<number> {
  const { databases, json } = asked;
  if (asked.from !== null && asked.from > 0 && asked.shards === null) {
    throw new UsageError('--from needs --shards: as many as `domaind db status` shows');
  }
  const { normalized: domain, camel, externalBrokers: external_brokers, shards } = wantedBy(asked);
  const settings = {
    version: currentVersion,
    works_with: worksWith,
    domain,
    camel,
    shards: shards ?? 1,
    external_brokers,
  };
  const scripts = databases.map(({ name, schema }) => ({
    database: name,
    sql: setupScript({ schema, settings, from: asked.from ?? 0 }),
  }));
  if (json) io.out(JSON.stringify(scripts));
  else io.out(scripts.map(({ database, sql: text }) => `-- database "${database}"\n${text}`).join('\n'));
  return 0;
}
