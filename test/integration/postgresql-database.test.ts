import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Database, DatabaseNotice } from '../../src/connection/database.ts';
import type { PostgresqlConfig } from '../../src/connection/postgresql.ts';
import { openDatabase } from '../../src/connection/postgresql.ts';
import { DomaindError, MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

const config = (uri: string, more: Partial<PostgresqlConfig> = {}): PostgresqlConfig => ({
  provider: 'postgresql',
  name: 'default',
  uri,
  directUri: null,
  schema: 'public',
  poolSize: 2,
  maxOverflow: 2,
  connectTimeoutMs: 2_000,
  statementTimeoutMs: 2_000,
  ...more,
});

const open: Database[] = [];
const servers: Server[] = [];
function database(uri: string, more: Partial<PostgresqlConfig> = {}, notices: DatabaseNotice[] = []): Database {
  const opened = openDatabase(config(uri, more), { notice: (notice) => notices.push(notice) });
  open.push(opened);
  return opened;
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error,
  );

async function failsWith(work: Promise<unknown>, kind: typeof DomaindError, code: string): Promise<DomaindError> {
  const error = await failure(work);
  assert.ok(error instanceof kind, String(error));
  assert.equal(error.code, code);
  return error;
}

/** A server that answers nothing, or what `serve` makes of each connection. */
async function listening(serve: (socket: Socket) => void = () => undefined): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

let server: PostgresqlServer;
let url: string;
before(async () => {
  server = await startPostgresql({ own: true });
  url = await server.createDatabase();
  await server.psql(url, 'create table note (id int primary key, text text)');
});
after(async () => {
  for (const each of open) await each.close();
  for (const each of servers) each.close();
  await server.stop();
});

const pidIn = async (sql: (strings: TemplateStringsArray) => PromiseLike<readonly object[]>): Promise<number> => {
  const [row] = await sql`select pg_backend_pid() as pid`;
  assert.ok(row && 'pid' in row && typeof row.pid === 'number');
  return row.pid;
};

describe('a bounded statement', () => {
  it('answers with its rows, and keeps its connection for the next', async () => {
    const db = database(url);
    const first = await db.bounded((sql) => sql`select pg_backend_pid() as pid, ${7}::int as seven`);
    const second = await db.bounded((sql) => sql`select pg_backend_pid() as pid`);
    assert.equal(first[0]?.['seven'], 7);
    assert.equal(first[0]?.['pid'], second[0]?.['pid']);
  });

  it('fails when its time is up, and the server is told to stop', async () => {
    const db = database(url);
    await failsWith(
      db.bounded((sql) => sql`select pg_sleep(60)`, 100),
      UnavailableError,
      'database_timeout',
    );
    const busy = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active'";
    for (let running = '1'; running !== '0'; running = await server.psql(url, `${busy} and pid <> pg_backend_pid()`));
  });

  it('is not held up by a server that accepts and never answers', async () => {
    const db = database(`postgresql://postgres@127.0.0.1:${await listening()}/x`);
    await failsWith(
      db.bounded((sql) => sql`select 1`, 150),
      UnavailableError,
      'database_timeout',
    );
    const slow = database(`postgresql://postgres@127.0.0.1:${await listening()}/x`, { connectTimeoutMs: 100 });
    await failsWith(
      slow.bounded((sql) => sql`select 1`),
      UnavailableError,
      'database_unreachable',
    );
  });

  it('is not held up by a server that closes at once', async () => {
    const port = await listening((socket) => socket.end());
    const db = database(`postgresql://postgres@127.0.0.1:${port}/x`);
    await failsWith(
      db.bounded((sql) => sql`select 1`),
      UnavailableError,
      'database_unreachable',
    );
  });

  it('survives the loss of an idle connection', async () => {
    const db = database(url);
    const pid = await db.bounded((sql) => pidIn(sql));
    await server.psql(url, `select pg_terminate_backend(${pid})`);
    const again = await db.bounded((sql) => pidIn(sql)).catch(() => db.bounded((sql) => pidIn(sql)));
    assert.notEqual(again, pid);
  });

  it('fails with the connection that is ended under it', async () => {
    const db = database(url);
    const pid = await db.bounded((sql) => pidIn(sql));
    const waiting = failsWith(
      db.bounded((sql) => sql`select pg_sleep(30)`),
      UnavailableError,
      'database_unreachable',
    );
    const busy = `select count(*) from pg_stat_activity where pid = ${pid} and state = 'active'`;
    while ((await server.psql(url, busy)) === '0');
    await server.psql(url, `select pg_terminate_backend(${pid})`);
    await waiting;
  });

  it('says of a table that is missing what to do', async () => {
    const db = database(url);
    const error = await failsWith(
      db.bounded((sql) => sql`select * from nowhere`),
      MisconfiguredError,
      'database_schema',
    );
    assert.match(error.message, /domaind db setup/);
  });

  it('says nothing of what the server says of values', async () => {
    const db = database(url);
    const error = await failsWith(
      db.bounded((sql) => sql`select ${'s3cr3t-value'}::int`),
      DomaindError,
      'database_refused',
    );
    assert.ok(!error.message.includes('s3cr3t'));
  });

  it('is prepared on a direct connection, and not behind a pooler', async () => {
    const prepared = (db: Database) =>
      db.bounded(async (sql) => {
        await sql`select ${1}::int as one`;
        const rows = await sql`select name from pg_prepared_statements where statement like 'select $1%'`;
        return rows.length;
      });
    // A pooler makes up the key that a session is cancelled by.
    const pooler = await listening((socket) => {
      const up = connect(server.port, '127.0.0.1');
      socket.pipe(up);
      up.on('error', () => socket.destroy());
      up.on('data', (chunk) => {
        const key = chunk.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
        if (key !== -1) chunk.writeUInt32BE(1, key + 5);
        socket.write(chunk);
      });
      up.on('end', () => socket.end());
      socket.on('close', () => up.destroy());
    });
    const pooled = new URL(url);
    pooled.port = String(pooler);
    assert.equal(await prepared(database(url)), 1);
    assert.equal(await prepared(database(pooled.href)), 0);
  });

  it('is refused after the close', async () => {
    const db = database(url);
    await db.bounded((sql) => sql`select 1`);
    await db.close();
    await failsWith(
      db.bounded((sql) => sql`select 1`),
      UnavailableError,
      'database_closed',
    );
  });
});

describe('a login that is refused', () => {
  it('is a misconfiguration, told without the password', async () => {
    await server.psql(url, "create role app login password 'right'");
    const wrong = new URL(url);
    wrong.username = 'app';
    wrong.password = 's3cr3t-canary';
    const error = await failsWith(
      database(wrong.href).bounded((sql) => sql`select 1`),
      MisconfiguredError,
      'database_login',
    );
    assert.ok(!JSON.stringify({ ...error, message: error.message, stack: error.stack }).includes('s3cr3t'));
    wrong.password = 'right';
    assert.equal((await database(wrong.href).bounded((sql) => sql`select 1 as one`)).length, 1);
  });

  it('is one too where the database does not exist', async () => {
    const other = new URL(url);
    other.pathname = '/not_there';
    const db = database(other.href);
    await failsWith(
      db.bounded((sql) => sql`select 1`),
      MisconfiguredError,
      'database_missing',
    );
  });
});

describe('a transaction', () => {
  it('opens with its first statement and commits what was written', async () => {
    const db = database(url);
    const transaction = db.transaction();
    assert.equal(transaction.state, 'unopened');
    const write = transaction.sql`insert into note values (${1}, ${'one'})`;
    assert.equal(transaction.state, 'unopened');
    await write;
    assert.equal(transaction.state, 'open');
    assert.equal(await server.psql(url, 'select count(*) from note where id = 1'), '0');
    await transaction.commit();
    assert.equal(await server.psql(url, 'select text from note where id = 1'), 'one');
  });

  it('costs nothing when it is never used', async () => {
    const db = database(`postgresql://postgres@127.0.0.1:${await listening()}/x`);
    await db.transaction().commit();
    await db.transaction().rollback();
  });

  it('undoes what was written when it is rolled back', async () => {
    const transaction = database(url).transaction();
    await transaction.sql`insert into note values (2, 'two')`;
    await transaction.rollback();
    assert.equal(await server.psql(url, 'select count(*) from note where id = 2'), '0');
    await failsWith(Promise.resolve(transaction.sql`select 1`), DomaindError, 'transaction_ended');
    await failsWith(transaction.commit(), DomaindError, 'transaction_ended');
  });

  it('runs `first` before its first statement, and fails with it', async () => {
    const db = database(url);
    const good = db.transaction(async (sql) => void (await sql`insert into note values (${3}, 'first')`));
    assert.equal((await good.sql`select text from note where id = 3`)[0]?.['text'], 'first');
    await good.rollback();
    const bad = db.transaction(async () => {
      throw new Error('seen before');
    });
    assert.match(String(await failure(Promise.resolve(bad.sql`select 1`))), /seen before/);
    assert.match(String(await failure(bad.commit())), /seen before/);
    assert.equal(bad.outage, null);
  });

  it('commits statements that nobody has waited for', async () => {
    const transaction = database(url).transaction();
    void transaction.sql`insert into note values (4, 'four')`.execute();
    await transaction.sql`select 1`;
    await transaction.commit();
    assert.equal(await server.psql(url, 'select count(*) from note where id = 4'), '1');
  });

  it('says so when a swallowed failure has undone everything', async () => {
    const transaction = database(url).transaction();
    await transaction.sql`insert into note values (5, 'five')`;
    await Promise.resolve(transaction.sql`insert into note values (5, 'again')`).catch(() => undefined);
    const error = await failsWith(transaction.commit(), DomaindError, 'transaction_aborted');
    assert.ok(error.cause instanceof Error && 'code' in error.cause && error.cause.code === '23505');
  });

  it('goes on after a savepoint that failed, nested ones too', async () => {
    const { sql, commit } = database(url).transaction();
    await sql`insert into note values (6, 'six')`;
    const tried = sql.savepoint(async (inner) => {
      await inner.savepoint((innermost) => innermost`insert into note values (7, 'seven')`);
      await inner`insert into note values (6, 'again')`;
    });
    assert.match(String(await failure(tried)), /duplicate key/);
    await sql.savepoint((inner) => inner`insert into note values (8, 'eight')`);
    await commit();
    assert.equal(
      await server.psql(url, 'select string_agg(id::text, $$,$$ order by id) from note where id between 6 and 8'),
      '6,8',
    );
  });

  it('keeps statements apart that are sent together, also when one cannot be sent', async () => {
    const { sql, rollback } = database(url).transaction();
    const answers = await Promise.allSettled([
      sql`select pg_sleep(0.02), 'a' as it`,
      sql`select ${undefined as unknown as string} as it`,
      sql`select ${'c'} as it`,
    ]);
    await rollback();
    assert.deepEqual(
      answers.map((answer) => (answer.status === 'fulfilled' ? answer.value[0]?.['it'] : answer.reason.code)),
      ['a', 'UNDEFINED_VALUE', 'c'],
    );
  });

  it('can do what the driver can: fragments, arrays, JSON, cursors, values, unsafe', async () => {
    const { sql, rollback } = database(url).transaction();
    const fragment = sql`where n > ${2}`;
    const rows = await sql`select n from generate_series(1, 4) n ${fragment} order by n`.values();
    assert.deepEqual([...rows], [[3], [4]]);
    const [arrays] = await sql`select ${[1, 2]}::int[] as numbers, ${sql.array(['a', 'b'])}::text[] as texts`;
    assert.deepEqual(arrays, { numbers: [1, 2], texts: ['a', 'b'] });
    assert.deepEqual((await sql`select ${sql.json({ a: [1] })} as it`)[0]?.['it'], { a: [1] });
    await sql`insert into note ${sql([
      { id: 90, text: 'x' },
      { id: 91, text: 'y' },
    ])}`;
    const seen: unknown[] = [];
    for await (const page of sql`select id from note where id in ${sql([90, 91])} order by id`.cursor(1))
      seen.push(page[0]?.['id']);
    for await (const page of sql`select n from generate_series(1, 9) n`.cursor(2)) {
      seen.push(page.length);
      break;
    }
    assert.deepEqual(seen, [90, 91, 2]);
    assert.equal((await sql.unsafe('select $1::int as it', [5]))[0]?.['it'], 5);
    await rollback();
  });

  it('is told of a connection that is lost, and the process lives on', async () => {
    const db = database(url);
    const transaction = db.transaction();
    const pid = await pidIn(transaction.sql);
    await server.psql(url, `select pg_terminate_backend(${pid})`);
    await failure(Promise.resolve(transaction.sql`select pg_sleep(5)`));
    await failsWith(
      Promise.resolve(transaction.sql`insert into note values (9, 'nine')`),
      UnavailableError,
      'database_unreachable',
    );
    assert.ok(transaction.outage instanceof UnavailableError);
    await failsWith(transaction.commit(), UnavailableError, 'database_unreachable');
    assert.equal(await server.psql(url, 'select count(*) from note where id = 9'), '0');
    const next = db.transaction();
    await next.sql`select 1`;
    await next.commit();
  });

  it('is rolled back at once, whatever it waits for', async () => {
    const db = database(url);
    const slow = db.transaction();
    const pid = await pidIn(slow.sql);
    const sleeping = failure(Promise.resolve(slow.sql`select pg_sleep(60)`));
    const asleep = `select count(*) from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`;
    while ((await server.psql(url, asleep)) === '0');
    await slow.rollback();
    await sleeping;
    while ((await server.psql(url, `select count(*) from pg_stat_activity where pid = ${pid}`)) !== '0');
  });

  it('waits for a connection only until it is rolled back, and leaves the daemon its own', async () => {
    const db = database(url);
    const [one, two, third] = [db.transaction(), db.transaction(), db.transaction()];
    await Promise.all([one.sql`select 1`, two.sql`select 1`]);
    const waiting = failsWith(Promise.resolve(third.sql`select 1`), DomaindError, 'transaction_ended');
    await db.bounded((sql) => sql`select 1`);
    await third.rollback();
    await waiting;
    const fourth = db.transaction();
    const served = fourth.sql`select 4 as it`.execute();
    await one.rollback();
    assert.equal((await served)[0]?.['it'], 4);
    await Promise.all([two.rollback(), fourth.rollback()]);
  });
});

describe('a server that goes and comes back', () => {
  it('is reported lost once, and found again', async () => {
    const own = await startPostgresql({ own: true });
    const notices: DatabaseNotice[] = [];
    const db = database(own.url, {}, notices);
    const transaction = db.transaction();
    await transaction.sql`create table t (id int)`;
    await own.kill();
    for (let tries = 0; tries < 3; tries += 1) await failure(db.bounded((sql) => sql`select 1`));
    await failure(transaction.commit());
    await own.restart();
    await db.bounded((sql) => sql`select 1`);
    assert.deepEqual(
      notices.map(({ kind }) => kind),
      ['connection_lost', 'connection_ready'],
    );
    await own.stop();
  });
});

describe('several hosts', () => {
  it('are tried in order until one answers', async () => {
    const dead = await listening((socket) => socket.destroy());
    const several = url.replace('127.0.0.1:', `127.0.0.1:${dead},127.0.0.1:`);
    assert.equal((await database(several).bounded((sql) => sql`select 1 as one`))[0]?.['one'], 1);
  });
});

describe('a connection by TLS', () => {
  const root = fileURLToPath(new URL('../fixtures/tls/server-cert.pem', import.meta.url));
  let secure: PostgresqlServer;
  before(async () => {
    secure = await startPostgresql({ own: true, tls: true, settings: { listen_addresses: '127.0.0.1,127.0.0.2' } });
  });
  after(() => secure.stop());

  const over = (mode: string, host = '127.0.0.1', port = secure.port) =>
    database(`postgresql://postgres@${host}:${port}/postgres?sslmode=${mode}`).bounded(
      (sql) => sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`,
    );
  const isSecure = async (answer: ReturnType<typeof over>) => (await answer)[0]?.['ssl'];

  it('is made where the URI asks for it, and where the server offers it to one who would like it', async () => {
    assert.equal(await isSecure(over('disable')), false);
    assert.equal(await isSecure(over('prefer')), true);
    assert.equal(await isSecure(over('require')), true);
    assert.equal(await isSecure(over(`verify-full&sslrootcert=${root}`)), true);
  });

  it('is not made to a server whose certificate nobody has vouched for', async () => {
    await failsWith(over('verify-full'), MisconfiguredError, 'database_tls');
  });

  it('is not made to a server that is not the one of the certificate, not by its address either', async () => {
    await failsWith(over(`verify-full&sslrootcert=${root}`, '127.0.0.2'), MisconfiguredError, 'database_tls');
    assert.equal(await isSecure(over(`verify-ca&sslrootcert=${root}`, '127.0.0.2')), true);
  });

  it('is a misconfiguration where the server has none to offer', async () => {
    await failsWith(over('require', '127.0.0.1', server.port), MisconfiguredError, 'database_tls');
    assert.equal(await isSecure(over('prefer', '127.0.0.1', server.port)), false);
  });
});
