import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EventStoreReplicas } from '../support/event-store-replicas.ts';
import { eventStoreReplicas, judgeEffects, writeEvents } from '../support/event-store-replicas.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { until } from '../support/until.ts';

const module = `
import { eventHandler, projector } from 'domaind';
const write = (ctx, events) => ctx.sql\`
  insert into effect (handler, stream, n)
  select 'Summary', e ->> 'stream', (e ->> 'n')::int
  from json_array_elements(\${JSON.stringify(events.map(({ stream, data }) => ({ stream, n: data.n })))}::text::json) e\`;
export const Summary = projector({
  categories: ['order'],
  batch: { size: 200, handle: (events, ctx) => write(ctx, events) },
  reset: (ctx) => ctx.sql\`delete from effect\`,
});
export const Plain = projector({ categories: ['order'], handles: { Counted: () => undefined } });
export const Mailer = eventHandler({ category: 'order', handles: { Counted: () => undefined } });
`;

interface Row {
  readonly handler: string;
  readonly lag: number;
  readonly staleness_seconds: number;
  readonly position: number;
  readonly head: number;
  readonly state: string;
}

describe('domaind projection', () => {
  let server: PostgresqlServer;
  let replicas: EventStoreReplicas;
  let committed: ReadonlyMap<string, number>;
  before(async () => {
    server = await startPostgresql();
    replicas = await eventStoreReplicas({ server, handlers: 1, module, settings: 'lease_ttl_seconds = 3' });
    committed = await writeEvents(replicas.url, {
      writers: 4,
      streams: 5,
      events: 500,
      categories: false,
      batch: 50,
      delayMs: 0,
    });
  });
  after(async () => {
    await replicas?.end();
    await server?.stop();
  });

  async function status(): Promise<Row> {
    const { code, out, err } = await replicas.run(['projection', 'status', 'Summary', '--json']);
    assert.equal(code, 0, err);
    const [row] = JSON.parse(out) as readonly Row[];
    assert.ok(row !== undefined);
    return row;
  }

  it('tells how far behind a projector is, and for how long', async () => {
    const { lag, staleness_seconds, position, state, head } = await status();
    assert.deepEqual([lag, position, state, head], [2_000, -1, 'stopped', 2_000]);
    assert.ok(staleness_seconds > 0);
    const { out } = await replicas.run(['projection', 'status']);
    assert.match(out, /^Mailer +bookshelf::order +- +2000 +2000 /m);
  });

  it('reads everything again where nobody runs it', async () => {
    const { code, out, err } = await replicas.run(['projection', 'rebuild', 'Summary']);
    assert.equal(code, 0, err);
    assert.match(out, /^Summary: 2000 messages in .*, \d+ a second$/m);
    assert.deepEqual(judgeEffects(await replicas.effects(), committed, 1), { missing: 0, twice: 0, outOfOrder: [] });
    const { lag, position, head, state } = await status();
    assert.deepEqual([lag, position, state], [0, head, 'stopped']);
  });

  it('refuses what it cannot make anew', async () => {
    const plain = await replicas.run(['projection', 'rebuild', 'Plain']);
    assert.equal(plain.code, 2);
    assert.match(plain.err, /Plain: give it a function `reset`.*--keep/);
    const mailer = await replicas.run(['projection', 'rebuild', 'Mailer']);
    assert.equal(mailer.code, 2);
    assert.match(mailer.err, /Mailer is no projector/);
    assert.equal((await replicas.run(['projection', 'rebuild', 'Nobody'])).code, 2);
    assert.equal((await replicas.run(['projection', 'rebuild', 'Plain', '--keep'])).code, 0);
  });

  it('refuses while a daemon runs it, unless told to pause it, and gives it back', async () => {
    const daemon = replicas.start();
    await daemon.seen('daemon.ready');
    assert.equal((await status()).state, 'running');
    const refused = await replicas.run(['projection', 'rebuild', 'Summary']);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /Summary runs.*--pause/);
    await server.psql(replicas.url, "insert into effect (handler, stream, n) values ('Summary', 'stray', 1)");
    const rebuilt = await replicas.run(['projection', 'rebuild', 'Summary', '--pause', '--json']);
    assert.equal(rebuilt.code, 0, rebuilt.err);
    assert.equal((JSON.parse(rebuilt.out) as { readonly handled: number }).handled, 2_000);
    assert.deepEqual(judgeEffects(await replicas.effects(), committed, 1), { missing: 0, twice: 0, outOfOrder: [] });
    await until('the daemon to have it again', async () => ((await status()).state === 'running' ? true : null));
  });
});
