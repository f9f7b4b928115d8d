import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import postgres from 'postgres';
import type { Database } from '../../src/connection/database.ts';
import { createInboxRetention } from '../../src/handler/inbox.ts';
import { createPostgresqlInbox } from '../../src/handler/postgresql-inbox.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

let server: PostgresqlServer;
let database: Database;
let url: string;
before(async () => {
  server = await startPostgresql();
  url = await server.createDatabase();
  database = aDatabase(url);
  await setUp(database);
});
after(async () => {
  await database.close();
  await server.stop();
});

const psql = (sql: string) => server.psql(url, sql);
const count = () => psql('select count(*) from inbox');
const fill = (rows: number, age: string) =>
  psql(`insert into inbox select gen_random_uuid(), 'H', now() - interval '${age}' from generate_series(1, ${rows})`);

describe('the inbox', () => {
  it('forgets the oldest first, up to a limit, and nothing that is recent', async () => {
    const inbox = createPostgresqlInbox(database);
    await fill(5, '2 days');
    await fill(5, '3 days');
    await fill(3, '1 hour');
    assert.equal(await inbox.purge(86_400_000, 4), 4);
    assert.equal(await psql(`select count(*) from inbox where processed_at < now() - interval '60 hours'`), '1');
    const [one, other] = await Promise.all([inbox.purge(86_400_000, 100), inbox.purge(86_400_000, 100)]);
    assert.equal(one + other, 6);
    assert.equal(await inbox.purge(86_400_000, 100), 0);
    assert.equal(await count(), '3');
  });

  it('finds what is old without a look at what is not', async () => {
    await psql('truncate inbox');
    await fill(20_000, '1 hour');
    await psql('analyze inbox');
    const own = postgres(url, { max: 1 });
    const read = await own.begin(async (sql) => {
      const bounded: Database['bounded'] = async (run) => run(sql as unknown as postgres.Sql);
      await createPostgresqlInbox({ ...database, bounded }).purge(86_400_000, 100);
      const [row] = await sql`
        select seq_tup_read + coalesce(idx_tup_fetch, 0) as tuples from pg_stat_xact_user_tables
        where relid = 'inbox'::regclass`;
      return row?.['tuples'];
    });
    assert.equal(read, '0');
    await own.end();
  });

  it('is purged batch by batch until nothing is old, and then again', async () => {
    const clock = createManualClock();
    const events = createEvents();
    const purges: number[] = [];
    const inbox = {
      database: 'default',
      async purge(olderThanMs: number, limit: number) {
        const purged = Math.min(limit, 25 - purges.reduce((sum, each) => sum + each, 0));
        assert.equal(olderThanMs, 86_400_000);
        purges.push(purged);
        return purged;
      },
    };
    const soft = new AbortController();
    const config = { retentionMs: 86_400_000, batchSize: 10 };
    const service = createInboxRetention(config, { inbox, loop: loopOptionsOn(clock, events)('inbox') });
    const running = service.run({ soft: soft.signal, hard: soft.signal });
    await clock.advance(1);
    assert.deepEqual(purges, [10, 10, 5]);
    await clock.advance(60_000);
    assert.deepEqual(purges, [10, 10, 5, 0]);
    soft.abort();
    await running;
  });
});
