import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { ConsumingDaemons } from '../support/consuming-daemons.ts';
import { consumingDaemons } from '../support/consuming-daemons.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const count = 50;
const limit = 512 * 1024;

describe('fifty bodies of ten megabytes', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis?.stop());

  const publish = (jobs: ConsumingDaemons) =>
    jobs.publish(
      Array.from({ length: count }, (_, n) => n),
      { text: 'x'.repeat(10_000_000) },
    );

  for (const when of ['before the daemon starts', 'while it runs']) {
    it(`that come ${when} do not raise its memory above 512 MB`, async (test) => {
      await redis.cli('FLUSHALL');
      const jobs = consumingDaemons({
        redis,
        handle: 'await new Promise((resolve) => setTimeout(resolve, 20));',
        settings: 'messages_per_tick = 100',
      });
      try {
        if (when !== 'while it runs') await publish(jobs);
        const daemon = jobs.start();
        await daemon.seen('daemon.ready');
        if (when === 'while it runs') await publish(jobs);
        await until('everything handled', async () => ((await jobs.isThrough()) ? true : null), 120_000);
        assert.equal(jobs.steps().filter(({ what }) => what === 'done').length, count);
        const [, peak = ''] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? [];
        test.diagnostic(`at most ${Math.round(Number(peak) / 1024)} MB`);
        assert.ok(Number(peak) > 0 && Number(peak) < limit, `${peak} KB`);
      } finally {
        await jobs.end();
      }
    });
  }
});
