import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { consumingDaemons } from '../support/consuming-daemons.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const count = 10_000;
const handle = `if (payload.poison) throw new Error('always');`;
const settings = 'max_retries = 3\nretry_delay_seconds = 5\njitter_factor = 0\nmessages_per_tick = 100';

describe('one poisoned and one malformed message among ten thousand', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis?.stop());

  /** How long a daemon takes for ten thousand messages that are there, from the first to the last, and what is given up. */
  async function run(poisonAt: number | null) {
    await redis.cli('FLUSHALL');
    const jobs = consumingDaemons({ redis, handle, settings });
    try {
      const bodies = Array.from({ length: count }, (_, n) => JSON.stringify({ n, poison: n === poisonAt }));
      const script = `for _, body in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 'data', body) end`;
      for (let from = 0; from < count; from += 1_000) {
        await redis.cli('EVAL', script, 1, jobs.stream, ...bodies.slice(from, from + 1_000));
        if (poisonAt !== null && from === 4_000) await redis.cli('XADD', jobs.stream, '*', 'data', '{"n": 1,');
      }
      jobs.start();
      const others = poisonAt === null ? count : count - 1;
      const done = await until(
        'the others',
        async () => {
          const found = jobs.steps().filter(({ what }) => what === 'done');
          return found.length >= others ? found : null;
        },
        120_000,
      );
      const tookMs = (done.at(-1)?.at ?? 0) - (jobs.steps()[0]?.at ?? 0);
      const before = jobs.steps().filter(({ n }) => n === poisonAt).length;
      await until('the end', async () => ((await jobs.isThrough()) ? true : null), 60_000);
      const letters = await redis.cli('XRANGE', `${jobs.stream}:dlq`, '-', '+');
      return {
        tookMs,
        before,
        tries: jobs.steps().filter(({ n }) => n === poisonAt).length,
        letters,
        steps: jobs.steps(),
      };
    } finally {
      await jobs.end();
    }
  }

  it('cost one dead letter each, and the others nothing', async (test) => {
    const clean = await run(null);
    const poisoned = await run(4_321);
    test.diagnostic(`without: ${clean.tookMs} ms, with: ${poisoned.tookMs} ms`);
    assert.equal(clean.steps.length, 2 * count);
    assert.deepEqual(clean.letters, []);
    assert.equal(poisoned.before, 1, 'the others are through while the poisoned one waits for its second try');
    assert.equal(poisoned.tries, 3);
    assert.ok(poisoned.tookMs < 1_000 + 2 * clean.tookMs);
    const letters = (Array.isArray(poisoned.letters) ? poisoned.letters : []).map((each) => String(each));
    assert.equal(letters.length, 2);
    assert.ok(letters.some((letter) => letter.includes('invalid_json') && letter.includes('"retry_count":1')));
    assert.ok(letters.some((letter) => letter.includes('always') && letter.includes('"retry_count":3')));
    const done = poisoned.steps.filter(({ what }) => what === 'done').map(({ n }) => n);
    assert.deepEqual([done.length, new Set(done).size], [count - 1, count - 1]);
  });
});
