import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import postgres from 'postgres';
import type { Database } from '../../src/connection/database.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import type { OutboxRow } from '../../src/outbox/outbox.ts';
import { createPostgresqlOutbox } from '../../src/outbox/postgresql-outbox.ts';
import { writeMessages } from '../../src/outbox/postgresql-writing.ts';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import { anEvent, tell } from '../conformance/outbox.conformance.ts';
import { createEvents } from '../support/events.ts';
import { aDatabase, anOutboxConfig, setUp } from '../support/postgresql-database.ts';
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

async function given(changes: Parameters<typeof anOutboxConfig>[0] = {}) {
  const url = await server.createDatabase();
  const database = aDatabase(url);
  open.push(database);
  await setUp(database);
  const events = createEvents();
  const config = anOutboxConfig(changes);
  const store = createPostgresqlOutbox(config, { database, emit: events.emit });
  const shard = store.shard(0, 1, null, 'lease');
  return {
    url,
    database,
    config,
    events,
    store,
    shard,
    psql: (sql: string) => server.psql(url, sql),
    add: (...messages: readonly NewMessage[]) => database.bounded((sql) => writeMessages(sql, 'public', messages)),
    read: (limit = 100): Promise<readonly OutboxRow[]> => shard.read({ limit, inFlight: [] }),
  };
}

describe('rows whose transactions commit in another order than they began', () => {
  it('are read when they are there, and none is passed over', async () => {
    const { url, read, shard } = await given();
    const [early, late] = [postgres(url, { max: 1 }), postgres(url, { max: 1 })];
    const raise = (sql: postgres.Sql, id: string) =>
      sql`select outbox_raise_event('A', 'order', ${id}, ${`{"n":${id}}`}::text::json)`;
    const first = await early.reserve();
    await first`begin`;
    await raise(first, '1');
    await raise(late, '2');
    const seen = await read();
    assert.deepEqual(seen.map(tell), ['22']);
    await shard.published(seen.map(({ id }) => id));
    assert.deepEqual(await read(), []);
    await first`commit`;
    assert.deepEqual((await read()).map(tell), ['11']);
    first.release();
    await Promise.all([early.end(), late.end()]);
  });
});

describe('a batch', () => {
  it('is bounded in bytes, and holds one row at least', async () => {
    const { add, read } = await given({ maxBatchBytes: 10_000 });
    // Of random text, for what is stored is compressed.
    const random = () => Array.from({ length: 3_000 }, () => Math.random().toString(36).charAt(2)).join('');
    const big = (n: number) => ({ ...anEvent('a', n), dataText: JSON.stringify({ n, text: random() }) });
    await add(big(1), big(2), big(3), big(4), big(5));
    const rows = await read();
    assert.ok(rows.length >= 2 && rows.length < 5, `${rows.length} rows`);
    const tight = await given({ maxBatchBytes: 1 });
    await tight.add(anEvent('a', 1), anEvent('a', 2));
    assert.deepEqual((await tight.read()).map(tell), ['a1']);
  });
});

describe('what is done with a row', () => {
  it('is written beside it: when it was published, and what it was refused with', async () => {
    const { add, read, shard, store, psql } = await given();
    const token = (await store.leases.acquire('lease', 'me', 60_000)) ?? '';
    await add(anEvent('a', 1), anEvent('b', 2), anEvent('c', 3));
    const [a, b, c] = await read();
    assert.ok(a && b && c);
    await shard.published([a.id]);
    const failure = { type: 'ReplyError', code: 'WRONGTYPE', message: 'no stream\0', stack: null };
    await shard.refused([{ id: b.id, failure, retryInMs: 60_000 }], token);
    await shard.refused([{ id: c.id, failure, retryInMs: null }], token);
    const rows = await psql(`select status, retry_count, published_at is not null, abandoned_at is not null,
      next_retry_at > now() + interval '50 s', last_error ->> 'code', last_error ->> 'message', last_error ? 'time'
      from outbox order by id`);
    assert.deepEqual(rows.split('\n'), [
      'published|0|t|f||||',
      'failed|1|f|f|t|WRONGTYPE|no stream\ufffd|t',
      'abandoned|1|f|t||WRONGTYPE|no stream\ufffd|t',
    ]);
  });

  it('is told, when nobody but the outbox itself gave it up', async () => {
    const { add, read, events } = await given({ maxMessageBytes: 2_000 });
    const [id] = await add({ ...anEvent('a', 1), dataText: `{"text":"${'x'.repeat(3_000)}"}` });
    assert.deepEqual(await read(), []);
    assert.deepEqual(events.all, [
      {
        event: 'outbox.row_abandoned',
        database: 'default',
        broker: 'default',
        stream: 'bookshelf::order',
        message_id: id,
        attempt: 1,
        reason: 'too_large',
      },
    ]);
  });

  it('is its end, where published rows are not kept', async () => {
    const { add, read, shard, psql } = await given({ retention: 0 });
    await add(anEvent('a', 1), anEvent('a', 2));
    await shard.published((await read(1)).map(({ id }) => id));
    assert.equal(await psql('select count(*) from outbox'), '1');
  });
});

describe('an outbox that cannot be read', () => {
  it('is never taken for an empty one', async () => {
    const { store, url } = await given();
    const gone = aDatabase(url.replace(/:\d+\//, ':1/'));
    open.push(gone);
    const there = createPostgresqlOutbox(anOutboxConfig(), { database: gone, emit: () => undefined });
    const shard = there.shard(0, 1, null, 'lease');
    const refusal = { id: '1', failure: { type: 'E', code: null, message: '', stack: null }, retryInMs: 1 };
    for (const work of [
      () => shard.read({ limit: 1, inFlight: [] }),
      () => shard.published(['1']),
      () => shard.refused([refusal], '1'),
      () => there.shards(),
      () => there.stats(null),
      () => there.purge(1, 1, 1),
      () => there.leases.acquire('a', 'b', 1),
      () => there.leases.renew('a', 'b', '1', 1),
    ]) {
      await assert.rejects(work, UnavailableError);
    }
    assert.equal(await store.shards(), 1);
  });

  it('is a misconfiguration where it is not set up', async () => {
    const database = aDatabase(await server.createDatabase());
    open.push(database);
    const store = createPostgresqlOutbox(anOutboxConfig(), { database, emit: () => undefined });
    await assert.rejects(store.shards(), MisconfiguredError);
    await assert.rejects(store.shard(0, 1, null, 'lease').read({ limit: 1, inFlight: [] }), MisconfiguredError);
  });

  it('stops relays that count other shards than there are', async () => {
    const { add, read, database, store } = await given();
    await add(anEvent('a', 1));
    await setUp(database, { shards: 4 });
    await assert.rejects(read(), { name: 'MisconfiguredError', code: 'outbox_resharded' });
    const now = [0, 1, 2, 3].map((index) => store.shard(index, 4, null, 'lease').read({ limit: 9, inFlight: [] }));
    assert.equal((await Promise.all(now)).flat().length, 1);
  });
});

describe('the cost of a read', () => {
  /** What the table is read for by one statement of the shard, once its plan has settled. */
  async function cost({ url, database, config }: Awaited<ReturnType<typeof given>>, inFlight: readonly string[] = []) {
    const own = postgres(url, { max: 1, fetch_types: false });
    const counted = await own.begin(async (sql) => {
      const counting = { ...database, bounded: <T>(run: (sql: postgres.Sql) => PromiseLike<T>) => run(sql as never) };
      const there = { database: counting as Database, emit: () => undefined };
      const shard = createPostgresqlOutbox(config, there).shard(0, 1, null, 'lease');
      const figures = async () => {
        const [row] = await sql<{ scans: number; tuples: number }[]>`
          select seq_scan::int as scans, (coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as tuples
          from pg_stat_xact_user_tables where relid = 'outbox'::regclass`;
        return row ?? { scans: 0, tuples: 0 };
      };
      // The sixth time, PostgreSQL may take a plan that knows no parameters.
      for (let times = 0; times < 8; times += 1) await shard.read({ limit: 50, inFlight });
      const before = await figures();
      const rows = await shard.read({ limit: 50, inFlight });
      const { scans, tuples } = await figures();
      return { rows: rows.length, scans: scans - before.scans, tuples: tuples - before.tuples };
    });
    await own.end();
    return counted;
  }

  const many = (count: number, status: string, stream: string) => `
    insert into outbox (message_id, stream_name, category, type, data, metadata, status, next_retry_at)
    select 'm' || g, ${stream}, 'bookshelf::order', 'Bookshelf.A.v1',
      json_build_object('text', repeat(md5(g::text), 16)), jsonb_build_object('headers', jsonb_build_object('id', 'm' || g)),
      '${status}', case when '${status}' = 'failed' then now() + interval '1 hour' end
    from generate_series(1, ${count}) g`;

  it('does not grow with what has been published', async () => {
    const outbox = await given();
    await outbox.psql(`${many(30_000, 'published', "'s' || g % 100")}; analyze outbox`);
    assert.deepEqual(await cost(outbox), { rows: 0, scans: 0, tuples: 0 });
    await outbox.psql(many(200, 'pending', "'s' || g % 100"));
    const { rows, scans, tuples } = await cost(outbox);
    assert.deepEqual({ rows, scans }, { rows: 50, scans: 0 });
    assert.ok(tuples <= 60, `${tuples} rows were looked at`);
    await outbox.psql('analyze outbox');
    assert.deepEqual(await cost(outbox), { rows, scans, tuples });
  });

  it('does not grow with what waits for another broker', async () => {
    const outbox = await given();
    await outbox.psql(`${many(20_000, 'pending', "'s' || g % 100")}; update outbox set target_broker = 'partner'`);
    await outbox.psql(`${many(10, 'pending', "'s' || g")}; analyze outbox`);
    const { rows, scans, tuples } = await cost(outbox);
    assert.deepEqual({ rows, scans }, { rows: 10, scans: 0 });
    assert.ok(tuples <= 20, `${tuples} rows were looked at`);
  });

  it('grows with each row that is read by what has failed in its stream, not in others', async () => {
    const outbox = await given();
    await outbox.psql(many(20_000, 'published', "'s' || g % 100"));
    await outbox.psql(`${many(1_000, 'failed', "'f' || g")}; ${many(200, 'pending', "'s' || g")}; analyze outbox`);
    const { rows, scans, tuples } = await cost(outbox);
    assert.deepEqual({ rows, scans }, { rows: 50, scans: 0 });
    // The failed ones are looked over once, for those that are due.
    assert.ok(tuples <= 1_200, `${tuples} rows were looked at`);
  });
});
