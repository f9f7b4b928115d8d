import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import type { EventStoreReplicas } from '../support/event-store-replicas.ts';
import { eventStoreReplicas, judgeEffects, writeEvents } from '../support/event-store-replicas.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { until } from '../support/until.ts';

const nothingWrong = { missing: 0, twice: 0, outOfOrder: [] };

describe('subscriptions of the event store in three replicas', () => {
  let server: PostgresqlServer;
  let replicas: EventStoreReplicas;
  before(async () => {
    server = await startPostgresql();
    replicas = await eventStoreReplicas({ server, handlers: 3, settings: 'lease_ttl_seconds = 2' });
  });
  after(async () => {
    await replicas?.end();
    await server?.stop();
  });

  it('have each effect once and in order while owners are killed, paused beyond their lease, and drained', async () => {
    const daemons = [replicas.start(), replicas.start(), replicas.start()];
    await Promise.all(daemons.map((each) => each.seen('daemon.ready')));
    const writing = writeEvents(replicas.url, {
      writers: 4,
      streams: 5,
      events: 100,
      categories: false,
      batch: 3,
      delayMs: 60,
    });
    await delay(1_500);
    daemons[0]?.signal('SIGKILL');
    daemons[1]?.signal('SIGSTOP');
    await delay(3_500);
    daemons[1]?.signal('SIGCONT');
    const fourth = replicas.start();
    await fourth.seen('daemon.ready');
    daemons[2]?.signal('SIGTERM');
    assert.deepEqual(await daemons[2]?.ended, { code: 0, signal: null });
    const committed = await writing;
    await until('all effects', async () => ((await replicas.count()) === 3 * 400 ? true : null));
    await delay(500);
    assert.deepEqual(judgeEffects(await replicas.effects(), committed, 3), nothingWrong);
    assert.equal((await server.psql(replicas.url, 'select count(*) from inbox')).trim(), '0', 'no row a message');
  });
});

describe('a subscription of everything', () => {
  let server: PostgresqlServer;
  let replicas: EventStoreReplicas;
  before(async () => {
    server = await startPostgresql();
    replicas = await eventStoreReplicas({ server, handlers: 1, category: '$all', settings: 'lease_ttl_seconds = 5' });
  });
  after(async () => {
    await replicas?.end();
    await server?.stop();
  });

  it('misses no event that commits late, and names the backend that it waits for', async () => {
    const daemon = replicas.start();
    await daemon.seen('daemon.ready');
    const sql = postgres(replicas.url, {
      max: 1,
      connection: { search_path: 'message_store,public', application_name: 'importer' },
    });
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let pid = 0;
    const long = sql.begin(async (tx) => {
      const [row] =
        await tx`select pg_backend_pid() as pid, write_message(gen_random_uuid()::text, 'bookshelf::cart-1', 'X', '{}')`;
      pid = Number(row?.['pid']);
      await held;
    });
    await until('the open transaction', async () => (pid === 0 ? null : true));
    const committed = await writeEvents(replicas.url, {
      writers: 8,
      streams: 4,
      events: 100,
      categories: true,
      batch: 4,
      delayMs: 40,
      rolledBack: 20,
    });
    const waiting = await daemon.seen('gap.waiting');
    assert.deepEqual([waiting['pid'], waiting['application']], [pid, 'importer']);
    const health = await daemon.health();
    const ready = await until('the wait in /readyz', async () => {
      const body = (await (await fetch(`${health}/readyz`)).json()) as Ready;
      return body.checks.subscriptions['Summary0']?.waits_for === undefined ? null : body;
    });
    assert.equal(ready.checks.subscriptions['Summary0']?.waits_for?.pid, pid);
    assert.equal(await replicas.count(), 0);
    letGo();
    await long;
    await sql.end();
    await until('all effects', async () => ((await replicas.count()) === 800 ? true : null));
    assert.deepEqual(judgeEffects(await replicas.effects(), committed, 1), nothingWrong);
    await daemon.seen('gap.closed');
  });
});

interface Ready {
  readonly checks: {
    readonly subscriptions: { readonly [name: string]: { readonly waits_for?: { readonly pid: number } } };
  };
}
