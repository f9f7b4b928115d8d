import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EventStoreReplicas } from '../support/event-store-replicas.ts';
import { eventStoreReplicas, writeEvents } from '../support/event-store-replicas.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { until } from '../support/until.ts';

interface Listed {
  readonly dead_letters: readonly {
    readonly id: string;
    readonly origin: string;
    readonly handler: string;
    readonly group: string;
    readonly error_message: string;
    readonly attempts: number;
    readonly message_type: string;
    readonly history: readonly { readonly error_message: string }[];
  }[];
}

describe('dead letters of the event store', () => {
  let server: PostgresqlServer;
  let replicas: EventStoreReplicas;
  before(async () => {
    server = await startPostgresql();
    replicas = await eventStoreReplicas({
      server,
      handlers: 1,
      settings:
        'recovery_interval_seconds = 0.1\nretry_delay_seconds = 0.1\nmax_retries = 2\nposition_update_interval = 1',
      handle: `
        const [{ broken }] = await ctx.sql\`select count(*)::int as broken from broken where n = \${data.n}\`;
        if (broken > 0) throw new TypeError('no stock of ' + data.n);`,
    });
    await server.psql(replicas.url, 'create table broken (n integer); insert into broken values (2), (3)');
  });
  after(async () => {
    await replicas?.end();
    await server?.stop();
  });
  const dlq = async (...argv: readonly string[]) => {
    const { code, out, err } = await replicas.run(['dlq', ...argv, '--json']);
    return { code, err, json: JSON.parse(out) as Listed & { readonly replayed: number; readonly purged: number } };
  };
  const handled = async () => (await replicas.effects()).map(({ n }) => n);

  it('are listed, shown, replayed and purged like the others', async () => {
    const daemon = replicas.start();
    await daemon.seen('daemon.ready');
    await writeEvents(replicas.url, { writers: 1, streams: 1, events: 4, categories: false, batch: 1, delayMs: 0 });
    await until('both given up', async () =>
      (await handled()).length === 2 && daemon.lines.filter(({ msg }) => msg === 'delivery.dead_lettered').length > 0
        ? true
        : null,
    );
    const { json } = await until('both letters', async () => {
      const found = await dlq('list');
      return found.json.dead_letters.length === 2 ? found : null;
    });
    const [first, second] = json.dead_letters.toSorted((one, other) =>
      one.error_message.localeCompare(other.error_message),
    );
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual(
      [first.origin, first.handler, first.group, first.error_message, first.attempts, first.message_type],
      ['bookshelf::order', 'Summary0', 'bookshelf.Summary0', 'no stock of 2', 2, 'Bookshelf.Counted.v1'],
    );
    assert.equal(first.history.length, 2);
    const shown = await replicas.run(['dlq', 'show', first.id, '--payload']);
    assert.match(shown.out, /TypeError: no stock of 2[\s\S]*"n": ?2/);

    await server.psql(replicas.url, 'delete from broken');
    assert.deepEqual((await dlq('replay', first.id)).json.replayed, 1);
    await until('its effect', async () => ((await handled()).includes(2) ? true : null));
    assert.deepEqual(
      (await dlq('list')).json.dead_letters.map(({ id }) => id),
      [second.id],
    );
    assert.equal((await dlq('replay', first.id)).code, 1, 'only once');
    assert.equal((await dlq('purge', second.id)).json.purged, 1);
    assert.deepEqual((await dlq('list', '--no-handlers')).json.dead_letters, []);
    assert.deepEqual(await handled(), [1, 4, 2]);
  });
});
