import type { Database } from '../../connection/database.ts';
import { toDatabaseError } from '../../connection/errors-of-postgresql.ts';
import { MisconfiguredError } from '../../runtime/errors.ts';
import { currentVersion, functionsFor, lockOf, quoted, setSetting } from './schema.ts';
import { readSettings, tooNew } from './setup.ts';

export interface ReshardReport {
  readonly from: number;
  readonly to: number;
}

/**
 * Cuts a database's outbox into another number of shards, 1 to 1,024, while writers and relays are at work. Relays that
 * run finish their batch and begin anew with that number; the order within a stream is kept. Throws MisconfiguredError
 * where the database is not set up for this version.
 */
export async function reshard(database: Database, shards: number): Promise<ReshardReport> {
  const { name, schema } = database;
  const transaction = database.transaction();
  const { sql } = transaction;
  try {
    await sql.unsafe("set local lock_timeout = '15s'");
    await sql.unsafe(lockOf(schema));
    const { version = 0, domain, camel, shards: from } = await readSettings(sql, schema);
    if (version > currentVersion) throw tooNew(database, version);
    if (version < currentVersion || domain === undefined || camel === undefined || from === undefined) {
      const fault = `database "${name}" has version ${version}, not ${currentVersion}`;
      throw new MisconfiguredError('database_schema', `${fault}: run \`domaind db setup\``);
    }
    for (const text of functionsFor(schema, { domain, camel, shards })) await sql.unsafe(text);
    await sql.unsafe(setSetting(quoted(schema), 'shards', shards));
    await transaction.commit();
    return { from, to: shards };
  } catch (error) {
    await transaction.rollback();
    throw toDatabaseError(error, name);
  }
}
