import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EventStoreReplicas } from '../support/event-store-replicas.ts';
import { eventStoreReplicas, judgeEffects, writeEvents } from '../support/event-store-replicas.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { until } from '../support/until.ts';

const writers = 8;
const each = 12_500;

const batched = (category: string) => `
import { projector } from 'domaind';
export const Summary = projector({
  categories: ['${category}'],
  batch: {
    size: 500,
    handle: (events, ctx) => ctx.sql\`
      insert into effect (handler, stream, n)
      select 'Summary', e ->> 'stream', (e ->> 'n')::int
      from json_array_elements(\${JSON.stringify(events.map(({ stream, data }) => ({ stream, n: data.n })))}::text::json) e\`,
  },
});
`;

describe('a hundred thousand events whose eight writers commit late and out of order', () => {
  let server: PostgresqlServer;
  let replicas: EventStoreReplicas;
  before(async () => {
    server = await startPostgresql();
    replicas = await eventStoreReplicas({ server, handlers: 1, module: batched('$all'), settings: '' });
  });
  after(async () => {
    await replicas?.end();
    await server?.stop();
  });

  it('are read while they are written, none missed and none out of the order of its stream', async (test) => {
    const daemon = replicas.start();
    await daemon.seen('daemon.ready');
    const startedAt = performance.now();
    const committed = await writeEvents(replicas.url, {
      writers,
      streams: 25,
      events: each,
      categories: true,
      batch: 100,
      delayMs: 100,
      rolledBack: 10,
    });
    const writtenMs = performance.now() - startedAt;
    await until('all effects', async () => ((await replicas.count()) >= writers * each ? true : null), 300_000);
    test.diagnostic(
      `written in ${Math.round(writtenMs)} ms, handled in ${Math.round(performance.now() - startedAt)} ms`,
    );
    const wrong = judgeEffects(await replicas.effects(), committed, 1);
    assert.deepEqual(wrong, { missing: 0, twice: 0, outOfOrder: [] });
    assert.equal(daemon.lines.filter(({ msg }) => msg === 'gap.abandoned').length, 0);
  });
});
