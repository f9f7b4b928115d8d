import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Idempotency, KeyTimes } from '../../src/handler/idempotency.ts';

export interface IdempotencySetting {
  /** A store that keeps keys so long. */
  open(times: KeyTimes): Promise<Idempotency>;
  /** Lets so much time pass, by the store's clock. */
  pass(ms: number): Promise<void>;
  /** Whether keys whose time is over are there until they are purged. */
  readonly purges: boolean;
}

const answer = { kind: 'done', text: '{"order_id":"ü"}' } as const;
const error = { kind: 'failed', text: '{"message":"no"}' } as const;

/** What every store of idempotency keys does. */
export function describeIdempotency(name: string, setting: () => IdempotencySetting): void {
  describe(`the idempotency keys of ${name}`, () => {
    let keys: Idempotency;
    let count = 0;
    const fresh = () => {
      count += 1;
      return `order:command:PlaceOrder:${count} ü`;
    };
    before(async () => {
      keys = await setting().open({ ttlMs: 60_000, errorTtlMs: 60_000 });
    });

    it('give a key to the first that asks, and again to the same, but to nobody else', async () => {
      const key = fresh();
      assert.deepEqual(await keys.claim(key, 'one', false), { kind: 'claimed' });
      assert.deepEqual(await keys.claim(key, 'one', false), { kind: 'claimed' }, 'after a crash');
      assert.deepEqual(await keys.claim(key, 'two', false), { kind: 'held' });
      assert.deepEqual(await keys.claim(key, 'two', true), { kind: 'held' });
      assert.deepEqual(await keys.claim(fresh(), 'two', false), { kind: 'claimed' });
    });

    it('give it to one of many that ask at once', async () => {
      const key = fresh();
      const claims = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((owner) => keys.claim(key, owner, false)));
      assert.deepEqual(claims.map(({ kind }) => kind).sort(), ['claimed', 'held', 'held', 'held', 'held']);
    });

    it('tell the first answer, to its owner too', async () => {
      const key = fresh();
      await keys.claim(key, 'one', false);
      await keys.settle(key, 'one', answer);
      for (const [owner, again] of [
        ['two', false],
        ['one', false],
        ['two', true],
      ] as const) {
        assert.deepEqual(await keys.claim(key, owner, again), { kind: 'answered', answer });
      }
      const nothing = fresh();
      await keys.claim(nothing, 'one', false);
      await keys.settle(nothing, 'one', { kind: 'done', text: null });
      assert.deepEqual(await keys.claim(nothing, 'two', false), {
        kind: 'answered',
        answer: { kind: 'done', text: null },
      });
    });

    it('let the owner try again what failed, and those who know that it did', async () => {
      const key = fresh();
      await keys.claim(key, 'one', false);
      await keys.settle(key, 'one', error);
      assert.deepEqual(await keys.claim(key, 'two', false), { kind: 'answered', answer: error });
      assert.deepEqual(await keys.claim(key, 'one', false), { kind: 'claimed' });
      await keys.settle(key, 'one', error);
      assert.deepEqual(await keys.claim(key, 'two', true), { kind: 'claimed' });
      await keys.settle(key, 'one', answer);
      assert.deepEqual(await keys.claim(key, 'three', false), { kind: 'held' }, "another's answer is not heard");
    });

    it('forget answers after their time, and errors sooner', async () => {
      const { open, pass, purges } = setting();
      const short = await open({ ttlMs: 1_000, errorTtlMs: 0 });
      const [done, failed] = [fresh(), fresh()];
      await short.claim(done, 'one', false);
      await short.settle(done, 'one', answer);
      await short.claim(failed, 'one', false);
      await short.settle(failed, 'one', error);
      assert.deepEqual(await short.claim(failed, 'two', false), { kind: 'claimed' });
      assert.deepEqual(await short.claim(done, 'two', false), { kind: 'answered', answer });
      await pass(1_001);
      if (purges) assert.deepEqual([await short.purge(1), await short.purge(10), await short.purge(10)], [1, 1, 0]);
      assert.deepEqual(await short.claim(done, 'two', false), { kind: 'claimed' });
    });
  });
}
