import { tables } from './001-tables.ts';
import { priorities } from './002-priorities.ts';
import { positions } from './003-positions.ts';
import { commandKeys } from './004-command-keys.ts';
import { functions } from './functions.ts';
import { externalHintStatement, hintNames, hintStatement } from './hint-names.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  /** `q` is the schema, quoted. */
  readonly sql: (q: string) => string;
}

/** In order, and never changed once released: a database runs those above its version. */
export const migrations: readonly Migration[] = [
  { version: 1, name: 'tables', sql: tables },
  { version: 2, name: 'priorities', sql: priorities },
  { version: 3, name: 'positions', sql: positions },
  { version: 4, name: 'command_keys', sql: commandKeys },
];

export const currentVersion = migrations.length;

/**
 * The oldest version whose daemon works on these tables: while a new version rolls out, and after it was rolled back, it
 * runs on tables that are ahead of it. It grows only with a migration that takes away or changes what that daemon needs.
 */
export const worksWith = 2;

/** The tables; one of these that we have not made is somebody else's. */
export const tableNames = ['outbox', 'inbox', 'document', 'lease', 'event_position', 'command_key'] as const;

/** A number of one's own for `pg_advisory_xact_lock`: two set-ups of one schema never run at once. */
export const lockOf = (schema: string): string =>
  `select pg_advisory_xact_lock(hashtextextended('domaind setup of ${schema}', 0))`;

export const settingTable = (q: string): string =>
  `create table if not exists ${q}.outbox_setting (name text primary key, value jsonb not null)`;

/** What is kept in `outbox_setting`: one row each. */
export interface Settings {
  readonly version: number;
  /** The oldest version whose daemon works on these tables. */
  readonly works_with: number;
  /** The domain's normalised name. */
  readonly domain: string;
  readonly camel: string;
  readonly shards: number;
  readonly external_brokers: readonly string[];
}

export const setSetting = (q: string, name: keyof Settings, value: Settings[keyof Settings]): string =>
  `insert into ${q}.outbox_setting (name, value) values ('${name}', ${literal(JSON.stringify(value))})
on conflict (name) do update set value = excluded.value`;

/** The statements that make the functions, for a domain and a number of shards. */
export function functionsFor(
  schema: string,
  { domain, camel, shards }: Pick<Settings, 'domain' | 'camel' | 'shards'>,
): readonly string[] {
  const q = quoted(schema);
  const names = hintNames(schema);
  return functions({
    q,
    normalized: domain,
    camel,
    hint: hintStatement(names, shards),
    externalHint: externalHintStatement(q, names, shards),
  });
}

export interface ScriptOptions {
  readonly schema: string;
  readonly settings: Settings;
  /** The version that the database has; 0 for none. */
  readonly from: number;
}

/** Everything that `domaind db setup` would run, for those who run it themselves with psql. */
export function setupScript({ schema, settings, from }: ScriptOptions): string {
  const q = quoted(schema);
  const parts = [
    'begin',
    lockOf(schema),
    ...(from === 0 && schema !== 'public' ? [`create schema if not exists ${q}`] : []),
    ...(from === 0 ? [settingTable(q)] : []),
    ...migrations.filter(({ version }) => version > from).map(({ sql }) => sql(q).trim().replace(/;$/, '')),
    ...functionsFor(schema, settings).map((text) => text.trim()),
    ...Object.entries(settings).map(([name, value]) => setSetting(q, name as keyof Settings, value)),
    'commit',
  ];
  return `${parts.join(';\n\n')};\n`;
}

/** Of a schema that openDatabase or the configuration has checked: letters, digits, _ and $. */
export const quoted = (schema: string): string => `"${schema}"`;

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
