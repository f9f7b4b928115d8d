import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';

const stream = 'bookshelf::book';
const group = 'bookshelf.model.BookCatalogProjector';

interface Captured {
  readonly entries: readonly { readonly id: string; readonly fields: { readonly data: string } }[];
}
/** What the Python server wrote. */
const captured: { readonly [key: string]: Captured } = JSON.parse(
  readFileSync(new URL('../fixtures/wire/events-and-commands.json', import.meta.url), 'utf8'),
);
const entries = captured[stream]?.entries ?? [];

describe('a projector that is moved from the Python server', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let folder: string;
  let url: string;
  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis({ appendonly: true })]);
    url = await postgresql.createDatabase();
    folder = mkdtempSync(join(tmpdir(), 'domaind-moving-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(
      join(folder, 'handlers', 'catalogue.mjs'),
      `import { projector } from 'domaind';
      export const Catalogue = projector({
        categories: ['book'],
        group: '${group}',
        handles: { $any: async (event, ctx) => ctx.store('seen').put(event.id, { type: event.name }) },
      });`,
    );
    configure('domaind');
  });
  after(async () => {
    await Promise.all([postgresql?.stop(), redis?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const configure = (schema: string) =>
    writeFileSync(
      join(folder, 'domain.toml'),
      `name = "bookshelf"
      [handlers]
      path = "handlers"
      [databases.default]
      provider = "postgresql"
      database_uri = "${url}"
      schema = "${schema}"
      [brokers.default]
      provider = "redis"
      URI = "${redis.url}"
      [server.health]
      enabled = false
      `,
    );
  const domaind = (...argv: readonly string[]) => run(argv, { cwd: folder });

  it('has its tables in a schema of their own, beside an outbox that is not ours', async () => {
    await postgresql.psql(url, 'create table outbox (id uuid primary key, message_data bytea)');
    configure('public');
    const refused = await domaind('db', 'setup');
    assert.equal(refused.code, 78);
    assert.match(refused.err, /"outbox" that is not domaind's: set \[databases\.default\] schema/);
    configure('domaind');
    const made = await domaind('db', 'setup');
    assert.equal(made.code, 0, made.err);
    assert.equal(await postgresql.psql(url, 'select count(*) from domaind.outbox'), '0');
  });

  it('goes on where it stopped there, with what was pending', async () => {
    assert.ok(entries.length >= 4);
    for (const { id, fields } of entries) await redis.cli('XADD', stream, id, 'data', fields.data);
    // Two were handled there; the third was in hand when its consumer died.
    await redis.cli('XGROUP', 'CREATE', stream, group, entries[1]?.id ?? '');
    await redis.cli('XREADGROUP', 'GROUP', group, 'BookCatalogProjector-vm-1', 'COUNT', 1, 'STREAMS', stream, '>');
    const pending = entries[2]?.id ?? '';
    await redis.cli('XCLAIM', stream, group, 'BookCatalogProjector-vm-1', 0, pending, 'IDLE', 3_600_000, 'JUSTID');

    const ran = await domaind('server', '--until-idle');
    assert.equal(ran.code, 0, ran.err);
    assert.deepEqual(await redis.cli('XPENDING', stream, group), [0, null, null, null]);
    const seen = await postgresql.psql(url, `select count(*) from domaind.document where collection = 'seen'`);
    assert.equal(seen, String(entries.length - 2));
  });
});
