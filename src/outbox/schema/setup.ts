import type { TransactionSql } from 'postgres';
import type { Database } from '../../connection/database.ts';
import { toDatabaseError } from '../../connection/errors-of-postgresql.ts';
import { MisconfiguredError } from '../../runtime/errors.ts';
import type { Settings } from './schema.ts';
import {
  currentVersion,
  functionsFor,
  lockOf,
  migrations,
  quoted,
  setSetting,
  settingTable,
  tableNames,
  worksWith,
} from './schema.ts';

export interface SetupOptions {
  /** The domain's normalised name, and the same as types have it. */
  readonly normalized: string;
  readonly camel: string;
  /** Brokers that rows with "published" go to as well. */
  readonly externalBrokers: readonly string[];
  /** How many shards the outbox is cut into; null keeps what is there, or 1. */
  readonly shards: number | null;
}

export interface SetupReport {
  /** The version that was there; 0 for none. */
  readonly from: number;
  readonly to: number;
  readonly shards: number;
}

/**
 * Makes or migrates the tables and functions of domaind in the database's schema: in one transaction, under a lock, as
 * often as one likes. Throws MisconfiguredError when the schema is another domain's, holds tables of those names that
 * are not ours, or was set up by a later version with which this one does not work; where it does, all is left as it is.
 */
export async function setupDatabase(database: Database, options: SetupOptions): Promise<SetupReport> {
  const { name } = database;
  const transaction = database.transaction();
  try {
    const report = await setUp(transaction.sql, database, options);
    await transaction.commit();
    return report;
  } catch (error) {
    await transaction.rollback();
    throw toDatabaseError(error, name);
  }
}

async function setUp(sql: TransactionSql, database: Database, options: SetupOptions): Promise<SetupReport> {
  const { name, schema } = database;
  const { normalized, camel, externalBrokers } = options;
  if (!/^[a-z0-9_]+$/.test(normalized) || !/^[A-Za-z0-9_]+$/.test(camel)) {
    throw new MisconfiguredError(
      'domain_name',
      `the domain's name "${normalized}" cannot be used in streams and types`,
    );
  }
  const q = quoted(schema);
  // Waits for locks, and holds those that others wait for: neither for long.
  await sql.unsafe("set local lock_timeout = '15s'");
  await sql.unsafe(lockOf(schema));
  await ensureSchema(sql, schema);
  await refuseForeignTables(sql, database);
  await sql.unsafe(settingTable(q));
  const there = await readSettings(sql, schema);
  const from = there.version ?? 0;
  if (there.domain !== undefined && there.domain !== normalized) {
    throw new MisconfiguredError(
      'database_of_another_domain',
      `schema "${schema}" of database "${name}" belongs to the domain ${there.domain}: give ${normalized} a schema of its own`,
    );
  }
  if (from > currentVersion) {
    if (!isAhead(there)) throw tooNew(database, from);
    return { from, to: from, shards: there.shards ?? 1 };
  }
  for (const migration of migrations.filter(({ version }) => version > from)) await sql.unsafe(migration.sql(q));
  const shards = options.shards ?? there.shards ?? 1;
  const settings: Settings = {
    version: currentVersion,
    works_with: worksWith,
    domain: normalized,
    camel,
    shards,
    external_brokers: externalBrokers,
  };
  for (const text of functionsFor(schema, settings)) await sql.unsafe(text);
  for (const [key, value] of Object.entries(settings)) await sql.unsafe(setSetting(q, key as keyof Settings, value));
  return { from, to: currentVersion, shards };
}

/** CREATE SCHEMA needs a right that is not needed where the schema is there, also with IF NOT EXISTS. */
async function ensureSchema(sql: TransactionSql, schema: string): Promise<void> {
  const found = await sql`select from pg_catalog.pg_namespace where nspname = ${schema}`;
  if (found.length === 0) await sql.unsafe(`create schema ${quoted(schema)}`);
}

async function refuseForeignTables(sql: TransactionSql, { name, schema }: Database): Promise<void> {
  const found = await sql<{ relname: string }[]>`
    select relname from pg_catalog.pg_class
    where relnamespace = (select oid from pg_catalog.pg_namespace where nspname = ${schema})
      and relname in ${sql(['outbox_setting', ...tableNames])}`;
  const there = found.map(({ relname }) => relname);
  if (there.length === 0 || there.includes('outbox_setting')) return;
  throw new MisconfiguredError(
    'database_tables_taken',
    `schema "${schema}" of database "${name}" has a table "${there[0]}" that is not domaind's: set [databases.${name}] schema to another one`,
  );
}

/** What the table holds; nothing where it has just been made. */
export async function readSettings(sql: TransactionSql, schema: string): Promise<Partial<Settings>> {
  const rows = await sql<{ name: string; value: unknown }[]>`select name, value from ${sql(schema)}.outbox_setting`;
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/** Whether tables of a later version serve this one as they are. */
const isAhead = ({ works_with }: Partial<Settings>): boolean =>
  works_with !== undefined && works_with <= currentVersion;

export const tooNew = ({ name, schema }: Database, version: number): MisconfiguredError =>
  new MisconfiguredError(
    'database_too_new',
    `schema "${schema}" of database "${name}" has version ${version}, this domaind knows ${currentVersion}: run a newer domaind`,
  );
