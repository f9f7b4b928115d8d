import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumingDaemons } from '../support/consuming-daemons.ts';
import { consumingDaemons } from '../support/consuming-daemons.ts';
import type { Daemon } from '../support/daemon.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const restarts = 20;

describe('twenty rolling restarts of two consumers under load', () => {
  let redis: RedisServer;
  let jobs: ConsumingDaemons;
  before(async () => {
    redis = await startRedis();
    jobs = consumingDaemons({
      redis,
      handle: 'await new Promise((resolve) => setTimeout(resolve, 30));',
      settings: 'concurrency = 4\nmessages_per_tick = 50',
    });
  });
  after(async () => {
    await jobs?.end();
    await redis?.stop();
  });

  it('burn no attempt, handle nothing twice, and make no message wait longer than two seconds', async (test) => {
    const daemons: Daemon[] = [jobs.start(), jobs.start()];
    await Promise.all(daemons.map((each) => each.seen('daemon.ready')));
    let published = 0;
    const publishedAt = new Map<number, number>();
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) {
        for (let more = 0; more < 5; more += 1) {
          publishedAt.set(published, Date.now());
          await jobs.publish([published]);
          published += 1;
        }
        await delay(80);
      }
    })();
    for (let round = 0; round < restarts; round += 1) {
      const leaving = daemons.shift();
      assert.ok(leaving);
      leaving.signal('SIGTERM');
      assert.deepEqual(await leaving.ended, { code: 0, signal: null });
      const next = jobs.start();
      daemons.push(next);
      await next.seen('daemon.ready');
      await delay(300);
    }
    stop.abort();
    await load;
    await until('everything handled', async () => ((await jobs.isThrough()) ? true : null), 60_000);
    const steps = jobs.steps();
    assert.ok(steps.every(({ attempt }) => attempt === 1));
    const done = steps.filter(({ what }) => what === 'done');
    assert.equal(new Set(done.map(({ n }) => n)).size, published);
    assert.equal(done.length, published);
    assert.equal(await jobs.deadLetters(), 0);
    const waits = done.map(({ n, at }) => at - (publishedAt.get(n) ?? 0)).sort((one, other) => one - other);
    test.diagnostic(
      `${published} messages; the longest wait: ${waits.at(-1)} ms, the middle one: ${waits[waits.length >> 1]} ms`,
    );
    assert.ok((waits.at(-1) ?? 0) <= 2_000, `${waits.at(-1)} ms`);
  });
});
