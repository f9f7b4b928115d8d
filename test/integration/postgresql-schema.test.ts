import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { db } from '../../src/cli/db.ts';
import type { Database } from '../../src/connection/database.ts';
import { checkDatabase, requireSound } from '../../src/outbox/schema/check.ts';
import { currentVersion, setupScript, worksWith } from '../../src/outbox/schema/schema.ts';
import { MisconfiguredError, UsageError } from '../../src/runtime/errors.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

let server: PostgresqlServer;
const open: Database[] = [];
before(async () => {
  server = await startPostgresql();
});
after(async () => {
  await Promise.all(open.map((database) => database.close()));
  await server.stop();
});

async function given(schema = 'public', user: string | null = null) {
  const url = await server.createDatabase();
  const own = new URL(url);
  if (user !== null) {
    own.username = user;
    own.password = user;
  }
  const database = aDatabase(own.href, { schema });
  open.push(database);
  return { url, database, psql: (sql: string) => server.psql(url, sql) };
}

const wanted = { normalized: 'bookshelf', camel: 'Bookshelf', externalBrokers: ['partner'] };
const settings = {
  version: currentVersion,
  works_with: worksWith,
  domain: 'bookshelf',
  camel: 'Bookshelf',
  shards: 1,
  external_brokers: ['partner'],
};

/** Everything that stands in a schema, so that two can be compared. */
const inventory = (schema: string) => `
  select string_agg(line, chr(10) order by line) from (
    select format('%s.%s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)) as line
    from pg_class c join pg_attribute a on attrelid = c.oid left join pg_attrdef on adrelid = c.oid and adnum = attnum
    where relnamespace = '"${schema}"'::regnamespace and attnum > 0
    union all select pg_get_indexdef(indexrelid) from pg_index join pg_class c on c.oid = indrelid
      where relnamespace = '"${schema}"'::regnamespace
    union all select pg_get_constraintdef(oid) from pg_constraint where connamespace = '"${schema}"'::regnamespace
    union all select pg_get_functiondef(oid) from pg_proc where pronamespace = '"${schema}"'::regnamespace
    union all select name || value::text from "${schema}".outbox_setting
  ) everything`;

describe('setting up a database', () => {
  it('makes what the daemon needs, and can be repeated', async () => {
    const { database, psql } = await given();
    assert.deepEqual(await setUp(database), { from: 0, to: currentVersion, shards: 1 });
    assert.deepEqual(await checkDatabase(database, wanted), []);
    await psql(`select outbox_raise_event('A', 'order', 'o-1', '{}')`);
    const before = await psql(inventory('public'));
    assert.deepEqual(await setUp(database), { from: currentVersion, to: currentVersion, shards: 1 });
    assert.equal(await psql(inventory('public')), before);
    assert.equal(await psql('select count(*) from outbox'), '1');
  });

  it('makes a schema of its own, in the letters in which it is written', async () => {
    const { database, psql } = await given('Order$1');
    await setUp(database);
    assert.deepEqual(await checkDatabase(database, wanted), []);
    assert.match(await psql(`select "Order$1".outbox_raise_event('A', 'order', 'o-1', '{}')`), /^bookshelf::order-o-1/);
  });

  it('may be asked for by many at once', async () => {
    const { database, url } = await given('shop');
    const other = aDatabase(url, { schema: 'shop' });
    open.push(other);
    const reports = await Promise.all([setUp(database), setUp(other), setUp(database), setUp(other)]);
    assert.deepEqual(reports.map(({ from }) => from).sort(), [0, currentVersion, currentVersion, currentVersion]);
  });

  it('keeps the number of shards unless told another', async () => {
    const { database } = await given();
    assert.equal((await setUp(database, { shards: 4 })).shards, 4);
    assert.equal((await setUp(database)).shards, 4);
    assert.equal((await setUp(database, { shards: 2 })).shards, 2);
  });

  it('makes two domains in one database, each in its schema', async () => {
    const { database, url, psql } = await given('one');
    const two = aDatabase(url, { schema: 'two' });
    open.push(two);
    await setUp(database);
    await setUp(two, { normalized: 'warehouse', camel: 'Warehouse' });
    assert.match(await psql(`select two.outbox_raise_event('A', 'stock', '1', '{}')`), /^warehouse::stock-1/);
  });

  it('leaves alone what is another domain’s, somebody else’s, or of a later version', async () => {
    const { database, psql } = await given();
    await setUp(database);
    await assert.rejects(setUp(database, { normalized: 'other', camel: 'Other' }), {
      name: 'MisconfiguredError',
      code: 'database_of_another_domain',
    });
    await psql(`update outbox_setting set value = '99' where name in ('version', 'works_with')`);
    await assert.rejects(setUp(database), { code: 'database_too_new' });

    const foreign = await given();
    await foreign.psql('create table outbox (id serial primary key, payload bytea)');
    await assert.rejects(setUp(foreign.database), { code: 'database_tables_taken' });
    assert.equal(await foreign.psql(`select to_regclass('outbox_setting') is null`), 't');
  });

  it('says so where it is not allowed to', async () => {
    await server.psql(server.url, `create role weak login password 'weak'`);
    const { database } = await given('shop', 'weak');
    await assert.rejects(setUp(database), { name: 'MisconfiguredError', code: 'database_grant' });
  });

  it('makes the same as the script that is printed', async () => {
    const { database, psql } = await given('shop');
    await psql(setupScript({ schema: 'shop', settings, from: 0 }));
    assert.deepEqual(await checkDatabase(database, wanted), []);
    const scripted = await psql(inventory('shop'));
    await psql(setupScript({ schema: 'shop', settings, from: currentVersion }));
    assert.equal(await psql(inventory('shop')), scripted);
    await psql('drop schema shop cascade');
    await setUp(database);
    assert.equal(await psql(inventory('shop')), scripted);
  });
});

describe('the check of a database', () => {
  const codes = async (database: Database, about = wanted) =>
    (await checkDatabase(database, about)).map(({ code, what }) => `${code}: ${what}`);

  it('finds that nothing is there', async () => {
    const { database } = await given('shop');
    assert.deepEqual(await codes(database), ['schema_missing: there is no schema "shop"']);
    const empty = await given();
    assert.deepEqual((await codes(empty.database)).slice(0, 2), [
      'table_missing: there is no table outbox_setting',
      'table_missing: there is no table outbox',
    ]);
  });

  it('finds every table, column and function that is missing or another', async () => {
    const { database, psql } = await given();
    await setUp(database);
    await psql(`drop table lease; alter table outbox drop column deliver_at cascade;
      alter table inbox alter column message_id type varchar; drop function outbox_process_command;
      drop index outbox_set_aside`);
    const found = await codes(database);
    assert.deepEqual(
      found.filter((each) => !each.startsWith('index_missing')),
      [
        'column_wrong: column outbox.deliver_at is missing',
        'column_wrong: column inbox.message_id is of type character varying, not text',
        'table_missing: there is no table lease',
        'function_missing: there is no function outbox_process_command',
      ],
    );
    // With the column went the indexes that speak of it.
    for (const index of ['outbox_scheduled', 'outbox_set_aside']) {
      assert.ok(found.includes(`index_missing: there is no valid index ${index}`), found.join('\n'));
    }
  });

  it('finds another version, another domain and other external brokers', async () => {
    const { database, psql } = await given();
    await setUp(database);
    assert.deepEqual(await codes(database, { ...wanted, normalized: 'other' }), [
      'domain_other: schema "public" belongs to the domain bookshelf, not other',
    ]);
    assert.match((await codes(database, { ...wanted, externalBrokers: [] })).join(), /^setting_old/);
    await psql(`update outbox_setting set value = '99' where name in ('version', 'works_with')`);
    assert.match((await codes(database)).join(), /^version_new: its version is 99/);
    await psql(`update outbox_setting set value = '0' where name = 'version'`);
    assert.match((await codes(database)).join(), /^version_old: its version is 0/);
  });

  it('takes tables of a later version that works with this one, and leaves them as they are', async () => {
    const { database, psql } = await given();
    await setUp(database);
    await psql(`update outbox_setting set value = '99' where name = 'version'`);
    assert.deepEqual(await codes(database), []);
    const { from, to } = await setUp(database);
    assert.deepEqual([from, to], [99, 99]);
  });

  it('finds rights that are missing, with the statements that give them', async () => {
    const { database, url, psql } = await given();
    await setUp(database);
    await server.psql(server.url, `drop role if exists relay; create role relay login password 'relay'`);
    const asRelay = new URL(url);
    asRelay.username = 'relay';
    asRelay.password = 'relay';
    const limited = aDatabase(asRelay.href);
    open.push(limited);
    for (let rounds = 0; rounds < 3; rounds += 1) {
      const problems = await checkDatabase(limited, wanted);
      if (rounds === 0) assert.ok(problems.length >= 5);
      for (const { code, mend } of problems) {
        assert.equal(code, 'grant_missing');
        await psql(mend);
      }
    }
    assert.deepEqual(await checkDatabase(limited, wanted), []);
  });

  it('can be required: all problems and their mends in one error', () => {
    requireSound('default', []);
    const problems = [
      { code: 'table_missing', what: 'there is no table outbox', mend: 'domaind db setup' },
      { code: 'grant_missing', what: 'x may not select on inbox', mend: 'grant select on inbox to x' },
    ];
    assert.throws(
      () => requireSound('default', problems),
      (error: Error) =>
        error instanceof MisconfiguredError &&
        error.code === 'table_missing' &&
        problems.every(({ what, mend }) => error.message.includes(`${what}: ${mend}`)),
    );
  });
});

describe('domaind db', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-db-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function run(url: string, ...argv: string[]) {
    const lines: string[] = [];
    const file = join(folder, 'domain.toml');
    await writeFile(
      file,
      `name = "bookshelf"
[databases.default]
provider = "postgresql"
database_uri = "${url}"
schema = "shop"
[databases.cache]
provider = "memory"
[brokers.default]
provider = "inline"
`,
    );
    const io = {
      out: (text: string) => void lines.push(text),
      err: () => undefined,
      environment: {},
      cwd: folder,
      width: 80,
      isTty: false,
    };
    const never = new AbortController().signal;
    const code = await db.run([...argv, '--config', file], io, { soft: never, hard: never });
    return { code, text: lines.join('\n') };
  }

  it('sets up, and tells before and after what is there', async () => {
    const { url } = await given();
    const before = await run(url, 'status');
    assert.equal(before.code, 1);
    assert.match(before.text, /not set up[\s\S]*there is no schema "shop"\n {2}mend: domaind db setup/);
    assert.match(
      (await run(url, 'setup', '--shards', '3')).text,
      new RegExp(`schema "shop": set up, version ${currentVersion}, 3 shards`),
    );
    assert.match((await run(url, 'setup')).text, new RegExp(`up to date, version ${currentVersion}, 3 shards`));
    const after = await run(url, 'status');
    assert.equal(after.code, 0);
    assert.match(after.text, /default\s+shop\s+(\d) of \1\s+bookshelf\s+3\s+0\s+ready/);
    const [told] = JSON.parse((await run(url, 'status', '--json')).text);
    assert.deepEqual([told.database, told.version, told.problems], ['default', currentVersion, []]);
  });

  it('cuts the outbox into another number of shards, where there is one', async () => {
    const { url, psql } = await given();
    await assert.rejects(run(url, 'shards', '4'), MisconfiguredError);
    await run(url, 'setup', '--shards', '3');
    assert.match((await run(url, 'shards', '4')).text, /schema "shop": 3 → 4 shards/);
    assert.deepEqual(JSON.parse((await run(url, 'shards', '2', '--json')).text).to, 2);
    assert.match((await run(url, 'setup')).text, /2 shards/);
    assert.match(await psql("select prosrc from pg_proc where proname = 'outbox_process_command'"), /& 1023\) % 2\)/);
  });

  it('prints SQL that psql can run, without a connection', async () => {
    const { url, psql } = await given();
    const { text } = await run('postgresql://postgres@127.0.0.1:1/nowhere', 'sql');
    await psql(text);
    assert.equal((await run(url, 'status')).code, 0);
  });

  it('refuses what it does not know', async () => {
    const url = 'postgresql://postgres@127.0.0.1:1/nowhere';
    for (const argv of [
      [],
      ['drop'],
      ['setup', 'now'],
      ['setup', '--shards', '2000'],
      ['sql', '--from', '1'],
      ['shards'],
      ['shards', '0'],
      ['shards', '2.5'],
      ['shards', '2', '3'],
    ]) {
      await assert.rejects(run(url, ...argv), UsageError, argv.join(' '));
    }
    await assert.rejects(run(url, 'setup', '--database', 'cache'), /\[databases\.cache\] of provider postgresql/);
  });
});
