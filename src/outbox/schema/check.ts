import type { Database } from '../../connection/database.ts';
import { MisconfiguredError } from '../../runtime/errors.ts';
import { neededFunctions, neededIndexes, neededSequence, neededTables } from './needed.ts';
import { currentVersion, quoted } from './schema.ts';

/** Something about a database that waiting does not mend. */
export interface Problem {
  /** `table_missing`, `grant_missing`, `version_old`, … */
  readonly code: string;
  readonly what: string;
  /** What to do about it: a command, or a statement of SQL. */
  readonly mend: string;
}

export interface WantedDatabase {
  /** The domain's normalised name, and the same as types have it. */
  readonly normalized: string;
  readonly camel: string;
  readonly externalBrokers: readonly string[];
}

/** PostgreSQL 13 is the first with gen_random_uuid of its own. */
const leastServer = 130_000;

const setUp = 'domaind db setup';

/**
 * Whether the database has what the daemon needs: every problem at once, none where all is well. Throws UnavailableError
 * when it cannot be reached, MisconfiguredError when it lets nobody in.
 */
export async function checkDatabase(database: Database, wanted: WantedDatabase): Promise<readonly Problem[]> {
  const { schema } = database;
  const { server, encoding, account, schemaThere, mayUse } = await serverOf(database);
  const problems: Problem[] = [];
  const add = (code: string, what: string, mend: string) => problems.push({ code, what, mend });

  if (server < leastServer) {
    add('server_old', `the server is PostgreSQL ${Math.floor(server / 10_000)}`, 'upgrade it to 13 or later');
  }
  if (encoding !== 'UTF8') {
    add('encoding', `the database has the encoding ${encoding}`, 'make one with encoding UTF8');
  }
  if (!schemaThere) {
    add('schema_missing', `there is no schema "${schema}"`, setUp);
    return problems;
  }
  if (!mayUse) {
    add('grant_missing', `${account} may not use the schema`, `grant usage on schema ${quoted(schema)} to ${account}`);
    return problems;
  }
  const tables = await tablesOf(database);
  problems.push(...tableProblems(tables, schema, account));
  const setting = tables.find(({ name }) => name === 'outbox_setting');
  if (setting?.grants.includes('select')) problems.push(...(await settingProblems(database, wanted)));
  if (setting !== undefined) {
    problems.push(...(await functionProblems(database, account)));
    problems.push(...(await indexProblems(database)));
  }
  return problems;
}

/** Throws MisconfiguredError with all problems and their mends; nothing where there are none. */
export function requireSound(database: string, problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const lines = problems.map(({ what, mend }) => `  ${what}: ${mend}`);
  throw new MisconfiguredError(first.code, `database "${database}" is not ready\n${lines.join('\n')}`);
}

interface Server {
  readonly server: number;
  readonly encoding: string;
  readonly account: string;
  readonly schemaThere: boolean;
  readonly mayUse: boolean;
}

async function serverOf(database: Database): Promise<Server> {
  const [row] = await database.bounded(
    (sql) => sql<Server[]>`
      select current_setting('server_version_num')::int as server, current_setting('server_encoding') as encoding,
        quote_ident(current_user) as account, namespace.oid is not null as "schemaThere",
        coalesce(has_schema_privilege(namespace.oid, 'usage'), false) as "mayUse"
      from (select 1) always left join pg_catalog.pg_namespace namespace on nspname = ${database.schema}`,
  );
  if (!row) throw new TypeError('one row is always there');
  return row;
}

interface Table {
  readonly name: string;
  readonly columns: { readonly [column: string]: string };
  /** Of those that matter. */
  readonly grants: readonly string[];
}

function tablesOf({ bounded, schema }: Database): Promise<readonly Table[]> {
  return bounded(
    (sql) => sql<Table[]>`
      select relname as name,
        (select json_object_agg(attname, format_type(atttypid, null)) from pg_catalog.pg_attribute
          where attrelid = class.oid and attnum > 0 and not attisdropped) as columns,
        (select json_agg(wanted) from unnest('{select,insert,update,delete}'::text[]) wanted
          where has_table_privilege(class.oid, wanted)) as grants
      from pg_catalog.pg_class class join pg_catalog.pg_namespace namespace on namespace.oid = relnamespace
      where nspname = ${schema} and relkind in ('r', 'p') and relname in ${sql(Object.keys(neededTables))}`,
  ).then((rows) => rows.map((row) => ({ ...row, grants: row.grants ?? [] })));
}

function tableProblems(tables: readonly Table[], schema: string, account: string): readonly Problem[] {
  return Object.entries(neededTables).flatMap(([name, { columns, grants }]): Problem[] => {
    const there = tables.find((table) => table.name === name);
    if (!there) return [{ code: 'table_missing', what: `there is no table ${name}`, mend: setUp }];
    const wrong = Object.entries(columns).flatMap(([column, type]): Problem[] => {
      const found = there.columns[column];
      if (found === type) return [];
      const what = found === undefined ? 'is missing' : `is of type ${found}, not ${type}`;
      return [{ code: 'column_wrong', what: `column ${name}.${column} ${what}`, mend: setUp }];
    });
    const missing = grants.filter((grant) => !there.grants.includes(grant));
    if (missing.length === 0) return wrong;
    const mend = `grant ${missing.join(', ')} on ${quoted(schema)}.${name} to ${account}`;
    return [...wrong, { code: 'grant_missing', what: `${account} may not ${missing.join(', ')} on ${name}`, mend }];
  });
}

async function settingProblems(database: Database, wanted: WantedDatabase): Promise<readonly Problem[]> {
  const { bounded, schema } = database;
  const rows = await bounded(
    (sql) => sql<{ name: string; value: unknown }[]>`select name, value from ${sql(schema)}.outbox_setting`,
  );
  const found = new Map(rows.map(({ name, value }) => [name, value]));
  const version = Number(found.get('version') ?? 0);
  const problems: Problem[] = [];
  if (version < currentVersion) {
    problems.push({ code: 'version_old', what: `its version is ${version}, not ${currentVersion}`, mend: setUp });
  } else if (version > currentVersion && Number(found.get('works_with') ?? version) > currentVersion) {
    const what = `its version is ${version}, and this domaind knows ${currentVersion}`;
    problems.push({ code: 'version_new', what, mend: 'run a newer domaind' });
  }
  if (found.get('domain') !== wanted.normalized) {
    const what = `schema "${schema}" belongs to the domain ${String(found.get('domain'))}, not ${wanted.normalized}`;
    problems.push({ code: 'domain_other', what, mend: `set [databases.${database.name}] schema to one of its own` });
  } else if (
    found.get('camel') !== wanted.camel ||
    JSON.stringify(found.get('external_brokers')) !== JSON.stringify(wanted.externalBrokers)
  ) {
    const what = 'the SQL functions were made for another name or other external brokers';
    problems.push({ code: 'setting_old', what, mend: setUp });
  }
  return problems;
}

async function functionProblems({ bounded, schema }: Database, account: string): Promise<readonly Problem[]> {
  const found = await bounded(
    (sql) => sql<{ name: string; may: boolean }[]>`
      select proname as name, bool_or(has_function_privilege(p.oid, 'execute')) as may
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = pronamespace
      where nspname = ${schema} and proname in ${sql([...neededFunctions])} group by proname
      union all
      select relname, has_sequence_privilege(c.oid, 'usage')
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = relnamespace
      where nspname = ${schema} and relkind = 'S' and relname = ${neededSequence}`,
  );
  return [...neededFunctions, neededSequence].flatMap((name): Problem[] => {
    const there = found.find((each) => each.name === name);
    const kind = name === neededSequence ? 'sequence' : 'function';
    if (!there) return [{ code: 'function_missing', what: `there is no ${kind} ${name}`, mend: setUp }];
    if (there.may) return [];
    const grant = kind === 'sequence' ? 'usage' : 'execute';
    const mend = `grant ${grant} on ${kind} ${quoted(schema)}.${name} to ${account}`;
    return [{ code: 'grant_missing', what: `${account} may not use the ${kind} ${name}`, mend }];
  });
}

/** Also those that are there but no good, as a CREATE INDEX CONCURRENTLY that failed leaves them. */
async function indexProblems({ bounded, schema }: Database): Promise<readonly Problem[]> {
  const found = await bounded(
    (sql) => sql<{ name: string }[]>`
      select relname as name from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = relnamespace join pg_catalog.pg_index i on indexrelid = c.oid
      where nspname = ${schema} and indisvalid and relname in ${sql([...neededIndexes])}`,
  );
  const there = new Set(found.map(({ name }) => name));
  return neededIndexes
    .filter((name) => !there.has(name))
    .map((name) => ({
      code: 'index_missing',
      what: `there is no valid index ${name}`,
      mend: `make it as \`domaind db sql\` shows it`,
    }));
}
