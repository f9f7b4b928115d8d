import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumingDaemons } from '../support/consuming-daemons.ts';
import { consumingDaemons } from '../support/consuming-daemons.ts';
import type { Daemon } from '../support/daemon.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const kills = 20;

describe('three consumers of which one is killed twenty times under load', () => {
  let redis: RedisServer;
  let jobs: ConsumingDaemons;
  before(async () => {
    redis = await startRedis();
    jobs = consumingDaemons({
      redis,
      handle: 'await new Promise((resolve) => setTimeout(resolve, 20));',
      settings: 'min_idle_ms = 1500\nheartbeat_interval_ms = 400\nreclaim_interval_ms = 500\nmessages_per_tick = 20',
    });
  });
  after(async () => {
    await jobs?.end();
    await redis?.stop();
  });

  it('leave nothing stuck, handle everything, and handle twice only what the killed had in hand', async (test) => {
    const daemons: Daemon[] = [jobs.start(), jobs.start(), jobs.start()];
    await Promise.all(daemons.map((each) => each.seen('daemon.ready')));
    let published = 0;
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) {
        await jobs.publish(Array.from({ length: 20 }, (_, index) => published + index));
        published += 20;
        await delay(50);
      }
    })();
    const killed = new Set<number>();
    for (let round = 0; round < kills; round += 1) {
      await delay(700);
      const victim = daemons.shift();
      assert.ok(victim);
      killed.add(victim.pid);
      victim.signal('SIGKILL');
      await victim.ended;
      const next = jobs.start();
      daemons.push(next);
      await next.seen('daemon.ready');
    }
    stop.abort();
    await load;
    await until('everything handled', async () => ((await jobs.isThrough()) ? true : null), 60_000);
    const done = new Map<number, number[]>();
    for (const { what, n, pid } of jobs.steps()) {
      if (what === 'done') done.set(n, [...(done.get(n) ?? []), pid]);
    }
    assert.equal(done.size, published);
    const twice = [...done.values()].filter(({ length }) => length > 1);
    assert.ok(twice.every((pids) => pids.slice(0, -1).every((pid) => killed.has(pid))));
    assert.equal(await jobs.deadLetters(), 0);
    test.diagnostic(`${published} messages, ${killed.size} kills, ${twice.length} handled twice`);
  });
});
