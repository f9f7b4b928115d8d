import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { judge, write } from '../support/ordered-writers.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { RelayProcesses } from '../support/relay-processes.ts';
import { relayProcesses } from '../support/relay-processes.ts';
import { until } from '../support/until.ts';

const aggregates = 50;
const each = 400;
const writers = 8;
/** Longer than the lease, so that a paused relay finds its shards in other hands. */
const longPauseMs = 5_000;

describe('twenty thousand events through three relays that are killed and paused', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let relays: RelayProcesses;
  let url = '';

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql({ own: true }), startRedis({ appendonly: true })]);
    url = await postgresql.createDatabase();
    relays = await relayProcesses(url, redis.url, 4);
  });
  after(async () => {
    await relays?.stop();
    await redis?.stop();
    await postgresql?.stop();
  });

  /** Until told to stop: one relay after the other is killed and replaced, or paused for a while. */
  async function disturb(stop: AbortSignal): Promise<Record<string, number>> {
    const counts = { killed: 0, paused: 0 };
    const running = Array.from({ length: 3 }, () => relays.start());
    await Promise.all(running.map((relay) => relay.seen('daemon.ready')));
    while (!stop.aborted) {
      const at = Math.floor(Math.random() * running.length);
      const relay = running[at];
      if (Math.random() < 0.5) {
        relay?.signal('SIGKILL');
        running[at] = relays.start();
        counts.killed += 1;
      } else {
        relay?.signal('SIGSTOP');
        await delay(Math.random() < 0.5 ? longPauseMs : 300);
        relay?.signal('SIGCONT');
        counts.paused += 1;
      }
      await delay(500 + Math.random() * 1_500);
    }
    return counts;
  }

  it('keeps the order of every stream, and loses nothing', async (test) => {
    const over = new AbortController();
    const disturbing = disturb(over.signal);
    const committed = await write(postgresql, url, { aggregates, each, writers });
    await until(
      'an empty outbox',
      async () => {
        const waiting = await postgresql.psql(url, "select count(*) from outbox where status <> 'published'");
        return waiting.trim() === '0' ? true : null;
      },
      300_000,
    );
    over.abort();
    const { killed, paused } = await disturbing;
    const entries = (await redis.cli('XRANGE', 'bookshelf::order', '-', '+')) as readonly [string, readonly string[]][];
    const arrived = entries.map(([, fields]) => String(JSON.parse(fields[1] ?? '').data.at));
    const { inversions, missing, duplicates } = judge(arrived, committed);
    test.diagnostic(`${arrived.length} entries, ${duplicates} of them twice; killed ${killed}, paused ${paused}`);
    assert.deepEqual({ inversions, missing }, { inversions: [], missing: [] });
    assert.ok((killed ?? 0) > 0 && (paused ?? 0) > 0);
  });
});
