import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Database } from '../../src/connection/database.ts';
import { withFolder } from '../support/config-folder.ts';
import { aDatabase, passTime, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { Ran, RunOptions } from '../support/run-command.ts';
import { run } from '../support/run-command.ts';

const domain = `
name = "bookshelf"
enable_outbox = true
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "inline"
`;

interface Row {
  readonly id: string;
  readonly message_id: string;
  readonly status: string;
  readonly retry_count: number;
  readonly last_error: { readonly code: string } | null;
  readonly [key: string]: unknown;
}

interface Listed {
  readonly database: string;
  readonly counts: Readonly<Record<string, number | boolean>>;
  readonly rows: readonly Row[];
}

const secret = 's3cr3t-payload';

describe('domaind outbox', () => {
  let server: PostgresqlServer;
  let database: Database;
  let url: string;
  let second: string;
  const id: { [status: string]: string } = {};

  before(async () => {
    server = await startPostgresql();
    [url, second] = await Promise.all([server.createDatabase(), server.createDatabase()]);
    database = aDatabase(url);
    await setUp(database);
    const other = aDatabase(second);
    await setUp(other);
    await other.close();
  });
  after(async () => {
    await database.close();
    await server.stop();
  });

  /** One row of each status, of streams `order-1` … `order-4`, written ten minutes ago; and a fresh pending one. */
  beforeEach(async () => {
    await sql('truncate outbox, lease');
    for (const [n, status] of ['pending', 'failed', 'abandoned', 'published'].entries())
      id[status] = await raise(n + 1);
    await sql(`update outbox set status = 'failed', retry_count = 2, next_retry_at = clock_timestamp() + interval '1 hour',
      last_error = '{"type": "ReplyError", "code": "WRONGTYPE", "message": "wrong kind of key", "stack": null,
        "time": "2026-11-23T14:00:00+00:00"}' where id = ${id['failed']}`);
    await sql(
      `update outbox set status = 'abandoned', retry_count = 3, abandoned_at = clock_timestamp() where id = ${id['abandoned']}`,
    );
    await sql(`update outbox set status = 'published', published_at = clock_timestamp() where id = ${id['published']}`);
    await passTime(database, 600_000);
    id['fresh'] = await raise(5);
  });

  /** The first column of the first row. */
  const sql = async (text: string): Promise<string> => {
    const [row] = await database.bounded((statement) => statement.unsafe(text));
    return String(Object.values(row ?? {})[0] ?? '');
  };
  const raise = async (n: number) => {
    const data = `{"order_id": "${n}", "card": "${secret}"}`;
    const raised = await sql(`select outbox_raise_event('OrderPlaced', 'order', '${n}', '${data}'::json)`);
    return sql(`select id from outbox where message_id = '${raised}'`);
  };
  const statusOf = (name: string) => sql(`select status from outbox where id = ${id[name]}`);

  const outbox = (argv: string, options: Partial<RunOptions> = {}): Promise<Ran> =>
    withFolder({ 'domain.toml': domain }, (cwd) =>
      run(['outbox', ...argv.split(' ')], { cwd, environment: { DATABASE_URL: url }, ...options }),
    );
  const listed = async (argv: string): Promise<Listed> => {
    const [first] = (await outbox(`list --json ${argv}`.trim())).json<readonly Listed[]>();
    assert.ok(first);
    return first;
  };

  it('lists what is not published, oldest first, below the counts by status', async () => {
    const { counts, rows, database: name } = await listed('');
    assert.equal(name, 'default');
    assert.deepEqual(counts, { pending: 2, failed: 1, abandoned: 1, published: 1, published_estimated: false });
    assert.deepEqual(
      rows.map((row) => row.id),
      [id['pending'], id['failed'], id['abandoned'], id['fresh']],
    );
  });

  it('lists by status, stream, category, type and age', async () => {
    const ids = async (argv: string) => (await listed(argv)).rows.map((row) => row.id);
    assert.deepEqual(await ids('--status published'), [id['published']]);
    assert.deepEqual(await ids('--status failed,abandoned'), [id['failed'], id['abandoned']]);
    assert.deepEqual(await ids('--stream bookshelf::order-2'), [id['failed']]);
    assert.equal((await ids('--stream bookshelf::order')).length, 4);
    assert.equal((await ids('--type OrderPlaced')).length, 4);
    assert.deepEqual(await ids('--type OrderPaid'), []);
    assert.deepEqual(await ids('--status pending --older-than 9m'), [id['pending']]);
    assert.deepEqual(await ids('--limit 1'), [id['pending']]);
  });

  it('prints a table of 80 columns, without payloads', async () => {
    const { code, out } = await outbox('list', { isTty: true });
    assert.equal(code, 0);
    assert.equal(out.split('\n')[0], '2 pending · 1 failed · 1 abandoned · 1 published');
    assert.match(out, /^ID +STATUS +AGE +TYPE +STREAM +TRIES +LAST ERROR$/m);
    assert.match(out, /failed +10m.* +OrderPlaced +bookshelf::order-2 +2 +WRONGTYPE: /);
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
    assert.doesNotMatch(out, new RegExp(secret));
  });

  it('shows a row by its id or its message, its payload only where that is asked for', async () => {
    const byRow = await outbox(`show ${id['failed']}`);
    assert.match(byRow.out, /^last error +WRONGTYPE: wrong kind of key$/m);
    assert.match(byRow.out, /^refused +2 times$/m);
    assert.doesNotMatch(byRow.out, new RegExp(secret));
    const [row] = (await outbox(`show ${id['failed']} --json`)).json<readonly Row[]>();
    assert.ok(row);
    const byMessage = await outbox(`show ${row.message_id}`);
    assert.equal(byMessage.out.replace(/\(.*\)/, ''), byRow.out.replace(/\(.*\)/, ''));
    assert.match((await outbox(`show ${id['failed']} --payload`)).out, new RegExp(secret));
    const missing = await outbox('show 4711');
    assert.deepEqual([missing.code, missing.err], [1, 'there is no row 4711']);
  });

  it('brings back the rows that are named, and says which it cannot', async () => {
    const { code, out, err } = await outbox(`retry ${id['failed']} ${id['published']}`);
    assert.equal(code, 1);
    assert.match(out, new RegExp(`^row ${id['failed']}, message .*: back to pending$`));
    assert.equal(err, `no row ${id['published']} is failed or abandoned`);
    const [row] = (await outbox(`show ${id['failed']} --json`)).json<readonly Row[]>();
    assert.deepEqual([row?.status, row?.retry_count, row?.['next_retry_at']], ['pending', 0, null]);
    assert.equal(row?.last_error?.code, 'WRONGTYPE');
    assert.equal(await statusOf('published'), 'published');
  });

  it('brings back all of a status, in batches', async () => {
    await sql(`insert into outbox (message_id, stream_name, category, type, data, metadata, status, retry_count)
      select 'm-' || n, 'bookshelf::order-' || n, 'bookshelf::order', 'Bookshelf.OrderPlaced.v1', '{}',
        jsonb_build_object('headers', jsonb_build_object('id', 'm-' || n)), 'abandoned', 3 from generate_series(1, 4500) n`);
    assert.equal((await outbox('retry --all')).code, 2);
    const { code, out } = await outbox('retry --all --status abandoned');
    assert.deepEqual([code, out], [0, '4501 rows retried']);
    const { counts } = await listed('');
    assert.deepEqual([counts['pending'], counts['failed'], counts['abandoned']], [4503, 1, 0]);
    assert.deepEqual((await outbox('retry --all --status failed --older-than 1h --json')).json(), [
      { database: 'default', retried: 0 },
    ]);
  });

  it('gives up pending and failed rows, with the reason', async () => {
    const { code } = await outbox(`abandon ${id['pending']}`);
    assert.equal(code, 0);
    const [row] = (await outbox(`show ${id['pending']} --json`)).json<readonly Row[]>();
    assert.equal(row?.status, 'abandoned');
    assert.equal(row?.last_error?.code, 'abandoned_by_operator');
    assert.equal((await outbox(`abandon ${id['published']}`)).code, 1);
    assert.equal(await statusOf('published'), 'published');
  });

  it('publishes again what was published since a time', async () => {
    assert.equal((await outbox('replay --since 5m')).out, '0 rows replayed');
    assert.equal((await outbox('replay --since 1h --until 20m')).out, '0 rows replayed');
    assert.equal((await outbox('replay --since 1h --stream bookshelf::order-1')).out, '0 rows replayed');
    assert.equal((await outbox('replay --since 1h --dry-run')).out, '1 row to replay');
    assert.equal(await statusOf('published'), 'published');
    assert.equal((await outbox('replay --since 2020-01-01T00:00:00Z')).out, '1 row replayed');
    assert.equal(await statusOf('published'), 'pending');
    assert.equal(await statusOf('failed'), 'failed');
  });

  it('publishes more than a thousand again only where that is meant', async () => {
    await published(1_000);
    const { code, err } = await outbox('replay --since 1h');
    assert.deepEqual([code, err], [1, '1001 rows would be published again: say --yes where that is meant']);
    assert.equal((await outbox('replay --since 1h --yes')).out, '1001 rows replayed');
    assert.equal((await listed('')).counts['published'], 0);
  });

  it('deletes old rows of one status', async () => {
    await published(5_001);
    assert.equal((await outbox('purge --status published')).code, 2);
    assert.equal((await outbox('purge --status pending --older-than 1s')).code, 2);
    assert.equal((await outbox('purge --status published --older-than 5m')).out, '1 row purged');
    await sql(`update outbox set published_at = published_at - interval '1 hour' where status = 'published'`);
    assert.equal((await outbox('purge --status published --older-than 5m')).out, '5001 rows purged');
    assert.equal((await outbox('purge --status abandoned --older-than 5m')).out, '1 row purged');
    const { counts } = await listed('');
    assert.deepEqual([counts['pending'], counts['failed'], counts['abandoned'], counts['published']], [2, 1, 0, 0]);
  });

  it('stops at the soft stop, and says how to go on', async () => {
    const soft = AbortSignal.abort('SIGINT');
    const shutdown = { soft, hard: new AbortController().signal };
    const { code, err } = await outbox('replay --since 1h', { shutdown });
    assert.equal(code, 1);
    assert.match(err, /the rest with --since \S+ --until \S+/);
    assert.equal(await statusOf('published'), 'published');
  });

  it('refuses what it does not understand, with exit code 2', async () => {
    for (const [argv, text] of [
      ['', 'what of the outbox?'],
      ['lst', 'there is no outbox lst'],
      ['list --older-than 10', '--older-than needs a unit: 10s, 10m, 10h or 10d'],
      ['list --status new', '--status is not "new"'],
      ['list 1', 'unexpected "1"'],
      ['retry', 'an ID is needed'],
      ['retry --all --status published', '--status cannot be published here'],
      ['replay', '--since is needed'],
      ['replay --since 2026-11-23', '--since must be a time with its zone'],
      ['list --database nope', 'there is no [databases.nope]; defined: default'],
    ] as const) {
      const { code, err } = await outbox(argv);
      assert.equal(code, 2, argv);
      assert.ok(err.includes(text), err);
    }
    assert.match((await outbox('--help')).out, /^example: domaind outbox /m);
  });

  it('asks which database ids are of where there are several, and lists all', async () => {
    const toml = `${domain}[databases.other]\nprovider = "postgresql"\ndatabase_uri = "\${OTHER_URL}"\n`;
    await withFolder({ 'domain.toml': toml }, async (cwd) => {
      const environment = { DATABASE_URL: url, OTHER_URL: second };
      const which = await run(['outbox', 'retry', '1'], { cwd, environment });
      assert.deepEqual([which.code, /one of default, other/.test(which.err)], [2, true]);
      const both = await run(['outbox', 'list', '--json'], { cwd, environment });
      assert.deepEqual(
        both.json<readonly Listed[]>().map((each) => [each.database, each.rows.length]),
        [
          ['default', 4],
          ['other', 0],
        ],
      );
      const one = await run(['outbox', 'list', '--database', 'other'], { cwd, environment });
      assert.equal(one.out, '0 pending · 0 failed · 0 abandoned · 0 published');
    });
  });

  it('tells a database that is away from one that was not set up and one in memory', async () => {
    const away = await outbox('list', { environment: { DATABASE_URL: 'postgresql://postgres@127.0.0.1:1/x' } });
    assert.equal(away.code, 69, away.err);
    const bare = await outbox('list', { environment: { DATABASE_URL: await server.createDatabase() } });
    assert.equal(bare.code, 78);
    assert.match(bare.err, /run `domaind db setup`/);
    const memory = domain.replace('"postgresql"', '"memory"').replace(/^database_uri.*$/m, '');
    const inside = await withFolder({ 'domain.toml': memory }, (cwd) => run(['outbox', 'list'], { cwd }));
    assert.equal(inside.code, 78);
    assert.match(inside.err, /lives inside the daemon/);
  });

  /** So many more rows that are published just now. */
  const published = (count: number) =>
    sql(`insert into outbox (message_id, stream_name, category, type, data, metadata, status, published_at)
      select 'p-' || n, 'bookshelf::order-' || n, 'bookshelf::order', 'Bookshelf.OrderPlaced.v1', '{}',
        jsonb_build_object('headers', jsonb_build_object('id', 'p-' || n)), 'published', clock_timestamp()
      from generate_series(1, ${count}) n`);
});
