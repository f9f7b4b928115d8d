import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { TransactionSql } from 'postgres';
import type { Database } from '../../src/connection/database.ts';
import { openDatabase } from '../../src/connection/postgresql.ts';
import { createDeadlines } from '../../src/handler/deadlines.ts';
import { eventHandler } from '../../src/handler/define.ts';
import type { Handle, HandlerLog } from '../../src/handler/handler.ts';
import type { Outcome } from '../../src/handler/invoke.ts';
import { invoke } from '../../src/handler/invoke.ts';
import { createPostgresqlUnitsOfWork } from '../../src/handler/postgresql-unit-of-work.ts';
import type { UnitOfWork } from '../../src/handler/unit-of-work.ts';
import { DuplicateError } from '../../src/handler/unit-of-work.ts';
import type { JsonObject } from '../../src/message/message.ts';
import { setupDatabase } from '../../src/outbox/schema/setup.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import { bookshelfConformance } from '../conformance/bookshelf.conformance.ts';
import type { UnitsOfWorkUnderTest } from '../conformance/units-of-work.conformance.ts';
import { anEvent, anOccasion, unitsOfWorkConformance } from '../conformance/units-of-work.conformance.ts';
import { aMessage } from '../support/messages.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { until } from '../support/until.ts';

let server: PostgresqlServer;
const opened: Database[] = [];

before(async () => {
  // A circle of waiting handlers is looked for after so long; PostgreSQL waits a second.
  server = await startPostgresql({ own: true, settings: { deadlock_timeout: '50ms' } });
});
after(async () => {
  await Promise.all(opened.map((database) => database.close()));
  await server?.stop();
});

function open(uri: string, schema = 'public'): Database {
  const config = { provider: 'postgresql', name: 'default', uri, directUri: null, schema } as const;
  const limits = { poolSize: 8, maxOverflow: 24, connectTimeoutMs: 5_000, statementTimeoutMs: 5_000 };
  const database = openDatabase({ ...config, ...limits }, { notice: () => undefined });
  opened.push(database);
  return database;
}

async function setUp(schema = 'public'): Promise<{ readonly url: string; readonly database: Database }> {
  const url = await server.createDatabase();
  const database = open(url, schema);
  await setupDatabase(database, { normalized: 'bookshelf', camel: 'Bookshelf', externalBrokers: [], shards: null });
  return { url, database };
}

/** A way to the server that passes everything on, COMMIT included, but ends before the answer to that. */
async function cutAfterCommit(port: number): Promise<{ readonly port: number; close(): void }> {
  const way = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let cut = false;
    client.on('data', (sent) => {
      cut ||= sent.includes('commit\0');
      upstream.write(sent);
    });
    upstream.on('data', (answer) => void (cut ? client.destroy() : client.write(answer)));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => undefined).on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve));
  const address = way.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, close: () => void way.close() };
}

async function givenPostgresql(schema: string): Promise<UnitsOfWorkUnderTest> {
  const { database } = await setUp(schema);
  return {
    unitsOfWork: createPostgresqlUnitsOfWork(database, { outbox: true }),
    withoutOutbox: createPostgresqlUnitsOfWork(database, { outbox: false }),
    outbox: () =>
      database.bounded(async (sql) => {
        const rows = await sql<{ type: string; data: unknown }[]>`
          select type, data from ${sql(schema)}.outbox order by id`;
        return rows.map(({ type, data }) => ({ name: type.split('.')[1] ?? '', data }));
      }),
    close: () => database.close(),
  };
}

unitsOfWorkConformance('postgresql', () => givenPostgresql('public'));
unitsOfWorkConformance('postgresql, in a schema of its own', () => givenPostgresql('Orders'));
bookshelfConformance('postgresql', () => givenPostgresql('public'));

describe('the transaction of a handler', () => {
  let url: string;
  let database: Database;
  before(async () => {
    ({ url, database } = await setUp());
    await database.bounded((sql) => sql`create table orders (id text primary key, placed boolean default false)`);
  });

  const begin = (occasion = anOccasion()) => createPostgresqlUnitsOfWork(database, { outbox: true }).begin(occasion);
  /** Asked of the server itself, so that nothing that is done to our connections matters. */
  const orders = async () => (await server.psql(url, 'select id from orders order by id')).split('\n');
  /** Other sessions of the application's pool than the one that asks. */
  const sessions = () =>
    server.psql(
      server.url,
      `select count(*) from pg_stat_activity where datname = '${new URL(url).pathname.slice(1)}' and state like 'idle in%'`,
    );

  const insert = ({ sql }: UnitOfWork, id: string) => sql`insert into orders (id) values (${id})`;

  it('is not there while the handler does nothing', async () => {
    const work = begin();
    assert.equal(work.state, 'untouched');
    assert.equal(await sessions(), '0');
    assert.equal(await work.commit(), 'untouched');
  });

  it('has the handler’s own statements in it, beside the inbox row', async () => {
    const occasion = anOccasion();
    const work = begin(occasion);
    await insert(work, 'own-1');
    assert.equal(await work.commit(), 'committed');
    assert.deepEqual(await orders(), ['own-1']);
    const again = begin(occasion);
    await assert.rejects(async () => void (await insert(again, 'own-2')), DuplicateError);
    assert.equal(await again.commit(), 'duplicate');
    assert.deepEqual(await orders(), ['own-1']);
  });

  it('is not committed where a statement of it had failed, though the handler went on', async () => {
    const work = begin();
    await insert(work, 'half-1');
    await work.sql`select 1 / 0`.catch(() => null);
    await assert.rejects(work.commit(), { code: 'transaction_aborted' });
    assert.ok(!(await orders()).includes('half-1'));
  });

  it('goes on after a savepoint that failed', async () => {
    const work = begin();
    await insert(work, 'save-1');
    const failed = work.sql.savepoint(async (sql) => {
      await sql`insert into orders (id) values ('save-2')`;
      await sql`insert into orders (id) values ('save-1')`;
    });
    await assert.rejects(failed, { code: '23505' });
    await work.commit();
    const saved = (await orders()).filter((id) => id.startsWith('save'));
    assert.deepEqual(saved, ['save-1']);
  });

  it('writes what is raised with what the handler writes: all of it or nothing', async () => {
    const work = begin();
    await insert(work, 'raise-1');
    work.add({ ...anEvent('Refused'), options: { version: 0 } });
    await assert.rejects(work.commit(), { name: 'TypeError', message: /option "version" must be from 1/ });
    assert.ok(!(await orders()).includes('raise-1'));
  });

  it('raises with the whole envelope that was asked for', async () => {
    const work = begin();
    const options = { version: 3, priority: -5, partition_key: 'p', correlation_id: 'c', causation_id: 'm' };
    work.add({ ...anEvent('Whole', { n: 1 }), options });
    work.add({ ...anEvent('Sent'), kind: 'COMMAND', id: 'ord-7' });
    await work.commit();
    const rows = await database.bounded(
      (sql) => sql`
        select stream_name, type, priority, partition_key, correlation_id, causation_id from outbox order by id`,
    );
    assert.deepEqual(
      rows.map((row) => Object.values(row).join(' ')),
      [
        'bookshelf::order-ord-1 Bookshelf.Whole.v3 -5 p c m',
        'bookshelf::order:command-ord-7 Bookshelf.Sent.v1 0  c-1 m-1',
      ],
    );
  });

  it('keeps a payload’s numbers as they were written', async () => {
    const work = begin();
    work.add({ ...anEvent('Exact'), dataText: '{"price": 1.50, "big": 12345678901234567890}' });
    await work.commit();
    const [row] = await database.bounded(
      (sql) => sql<{ text: string }[]>`select data::text as text from outbox where type like '%Exact%'`,
    );
    assert.equal(row?.text, '{"price": 1.50, "big": 12345678901234567890}');
  });

  const uses: readonly (readonly [string, (sql: TransactionSql) => unknown, unknown])[] = [
    ['parameters', async (sql) => (await sql`select ${'a'}::text as x`)[0]?.['x'], 'a'],
    ['nested fragments', async (sql) => (await sql`select ${sql`1 + ${2}::int`} as x`)[0]?.['x'], 3],
    ['identifiers', async (sql) => (await sql`select 1 as ${sql('a b')}`)[0]?.['a b'], 1],
    [
      'objects to insert',
      async (sql) => (await sql`insert into orders ${sql({ id: 'object-1' })} returning id`)[0]?.['id'],
      'object-1',
    ],
    [
      'lists to insert',
      async (sql) => (await sql`insert into orders ${sql([{ id: 'list-1' }, { id: 'list-2' }])}`).count,
      2,
    ],
    ['lists to look in', async (sql) => (await sql`select 1 as x where 2 in ${sql([1, 2])}`).length, 1],
    ['json', async (sql) => (await sql`select ${sql.json({ a: [1] })}::jsonb -> 'a' as x`)[0]?.['x'], [1]],
    ['arrays', async (sql) => (await sql`select ${sql.array([1, 2])}::int[] as x`)[0]?.['x'], [1, 2]],
    ['unsafe statements', async (sql) => (await sql.unsafe('select $1::int as x', [7]))[0]?.['x'], 7],
    ['values', async (sql) => sql`select 1, 2`.values().then((rows) => [...rows]), [[1, 2]]],
    ['raw rows', async (sql) => String((await sql`select 'a'`.raw())[0]?.[0]), 'a'],
    ['simple statements', async (sql) => (await sql`select 1; select 2`.simple()).length, 2],
    ['descriptions', async (sql) => (await sql`select 1 as x`.describe()).columns[0]?.name, 'x'],
    [
      'cursors',
      async (sql) => {
        const seen: unknown[] = [];
        for await (const rows of sql`select x from generate_series(1, 5) x`.cursor(2)) seen.push(rows.length);
        return seen;
      },
      [2, 2, 1],
    ],
    [
      'rows one at a time',
      async (sql) => {
        let sum = 0;
        await sql`select x from generate_series(1, 4) x`.forEach(({ x }) => {
          sum += x;
        });
        return sum;
      },
      10,
    ],
    [
      'several statements at once',
      async (sql) => {
        const results = await Promise.all([1, 2, 3].map((n) => sql`select ${n}::int as n`));
        return results.map(([row]) => row?.['n']);
      },
      [1, 2, 3],
    ],
  ];
  for (const [what, use, expected] of uses) {
    it(`can do what the driver can: ${what}`, async () => {
      const work = begin();
      assert.deepEqual(await use(work.sql), expected);
      assert.equal(await work.commit(), 'committed');
    });
  }

  describe('and the server', () => {
    const raised: Handle<JsonObject> = async ({ data }, ctx) => {
      await ctx.sql`insert into orders (id) values (${String(data['order_id'])})`;
      ctx.raise('OrderSeen', { category: 'order', id: String(data['order_id']), data: {} });
    };
    const silent: HandlerLog = {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: () => undefined,
    };

    async function call(handle: Handle<JsonObject>, id: string, timeoutMs = 5_000, on = database): Promise<Outcome> {
      const deadlines = createDeadlines(timeoutMs, { clock: systemClock, hard: new AbortController().signal });
      const { handles } = eventHandler({ category: 'order', handles: { OrderPlaced: handle } });
      const outcome = await invoke(
        { name: 'Seen', handles },
        aMessage({ id, data: { order_id: id } }),
        { entryId: '1-0', attempt: 1, signal: () => new AbortController().signal },
        {
          domain: 'bookshelf',
          config: {},
          unitsOfWork: createPostgresqlUnitsOfWork(on, { outbox: true }),
          log: () => silent,
          deadlines,
        },
      );
      deadlines.close();
      return outcome;
    }
    const backends = `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'domaind' and state = 'idle in transaction'`;

    it('have the effects of a message once, however often it comes', async () => {
      const first = await call(raised, 'twice-1');
      assert.equal(first.kind === 'done' && first.effect, 'ok');
      const second = await call(raised, 'twice-1');
      assert.equal(second.kind === 'done' && second.effect, 'duplicate');
      assert.equal((await orders()).filter((id) => id === 'twice-1').length, 1);
    });

    it('that ends the connection in the middle costs no attempt, also where the handler hides it', async () => {
      const killed: Handle<JsonObject> = async (message, ctx) => {
        await raised(message, ctx);
        await server.psql(server.url, backends);
        await ctx.sql`select 1`.catch(() => {
          throw new Error('no such order');
        });
      };
      const outcome = await call(killed, 'killed-1');
      assert.ok(outcome.kind === 'unavailable' && outcome.error instanceof UnavailableError, JSON.stringify(outcome));
      assert.ok(!(await orders()).includes('killed-1'));
      assert.equal((await call(raised, 'killed-1')).kind, 'done');
    });

    it('that ends the connection just before the commit costs no attempt', async () => {
      const killed: Handle<JsonObject> = async (message, ctx) => {
        await raised(message, ctx);
        await server.psql(server.url, backends);
      };
      assert.equal((await call(killed, 'killed-2')).kind, 'unavailable');
      assert.equal((await call(raised, 'killed-2')).kind, 'done');
      assert.equal((await orders()).filter((id) => id === 'killed-2').length, 1);
    });

    it('that commits, but whose answer is lost, costs no attempt: the next try finds it done', async () => {
      const proxy = await cutAfterCommit(server.port);
      const behind = open(url.replace(`:${server.port}/`, `:${proxy.port}/`));
      const outcome = await call(raised, 'silent-1', 5_000, behind);
      assert.equal(outcome.kind === 'unavailable' && outcome.error.code, 'commit_unknown');
      const again = await call(raised, 'silent-1');
      assert.equal(again.kind === 'done' && again.effect, 'duplicate');
      assert.equal((await orders()).filter((id) => id === 'silent-1').length, 1);
      proxy.close();
    });

    it('that takes no writes for now costs no attempt', async () => {
      const readOnly: Handle<JsonObject> = async (message, ctx) => {
        await ctx.sql`set local transaction read only`;
        await raised(message, ctx);
      };
      const outcome = await call(readOnly, 'read-only-1');
      assert.equal(outcome.kind === 'unavailable' && outcome.error.code, 'database_read_only');
    });

    it('that lacks domaind’s tables costs no attempt, and the error names the mend', async () => {
      const bare = open(await server.createDatabase());
      const outcome = await call((_, ctx) => ctx.store('orders').put('a', {}), 'bare-1', 5_000, bare);
      assert.ok(outcome.kind === 'unavailable' && outcome.error instanceof MisconfiguredError);
      assert.match(outcome.error.message, /domaind db setup/);
    });

    it('that refuses the handler’s own statement is the handler’s failure', async () => {
      const outcome = await call((_, ctx) => ctx.sql`insert into nowhere values (1)`, 'fault-1');
      assert.equal(outcome.kind === 'failed' && 'code' in outcome.error && outcome.error.code, '42P01');
    });

    it('has nothing left to do for a handler whose time was up', async () => {
      const slow: Handle<JsonObject> = async (message, ctx) => {
        await raised(message, ctx);
        await ctx.sql`select pg_sleep(30), 'still at it'`;
      };
      const outcome = await call(slow, 'slow-1', 200);
      assert.equal(outcome.kind === 'failed' && outcome.error.name, 'HandlerTimeoutError');
      await until('the end of the statement', async () => {
        const running = await server.psql(
          server.url,
          "select count(*) from pg_stat_activity where query like '%still at it%' and state = 'active' and pid <> pg_backend_pid()",
        );
        return running === '0' ? true : null;
      });
      assert.ok(!(await orders()).includes('slow-1'));
      assert.equal((await call(raised, 'slow-1')).kind, 'done');
    });

    it('knows nothing of a zombie’s later statements', async () => {
      let later: Promise<unknown> = Promise.resolve();
      const zombie: Handle<JsonObject> = async (_, ctx) => {
        const { sql } = ctx;
        await sql`select 1`;
        await new Promise((resolve) => setTimeout(resolve, 250));
        later = sql`insert into orders (id) values ('zombie-1')`.catch((error: unknown) => error);
        await later;
      };
      assert.equal((await call(zombie, 'zombie-1', 100)).kind, 'failed');
      await until('the zombie', async () => ((await later) === undefined ? null : true));
      assert.equal(((await later) as { code: string }).code, 'transaction_ended');
      assert.ok(!(await orders()).includes('zombie-1'));
    });
  });
});
