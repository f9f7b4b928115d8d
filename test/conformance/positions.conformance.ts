import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Advance, Positions, Receipt } from '../../src/event-store/positions.ts';

export interface PositionsUnderTest {
  readonly positions: Positions;
  /** Records in a transaction of its own, and commits it. */
  record(subscription: string, token: bigint, receipt: Receipt): ReturnType<Positions['record']>;
  reset(subscription: string, token: bigint, position: bigint): Promise<void>;
  close(): Promise<void>;
}

const nothing: Advance = { position: -1n, done: [], failed: [], mended: [] };
const first = { position: -1n, failed: [] };

/** What every store of positions promises. */
export function positionsConformance(name: string, create: () => Promise<PositionsUnderTest>): void {
  describe(`positions in ${name}`, () => {
    let store: PositionsUnderTest;
    let positions: Positions;
    let serial = 0;
    before(async () => {
      store = await create();
      positions = store.positions;
    });
    after(() => store.close());
    const claimed = async (token = 1n): Promise<string> => {
      const subscription = `bookshelf.Summary-bookshelf::order${serial++}`;
      assert.notEqual(await positions.claim(subscription, token, first), null);
      return subscription;
    };

    it('begin where the first owner says', async () => {
      const progress = await positions.claim('new', 1n, { position: 41n, failed: [7n, 5n] });
      assert.deepEqual(progress, { position: 41n, ahead: [], failed: [5n, 7n], started: new Map(), clean: true });
      assert.equal((await positions.claim('new', 2n, first))?.position, 41n);
    });

    it('are not known before', async () => {
      assert.equal(await positions.look('nobody'), null);
    });

    it('belong to the one with the largest token', async () => {
      const subscription = await claimed(5n);
      assert.equal(await positions.claim(subscription, 4n, first), null);
      assert.notEqual(await positions.claim(subscription, 5n, first), null);
      assert.notEqual(await positions.claim(subscription, 6n, first), null);
      assert.equal(await positions.advance(subscription, 5n, { ...nothing, position: 9n }), false);
      assert.equal(await positions.start(subscription, 5n, 9n), false);
      assert.equal(await store.record(subscription, 5n, { position: 8n, done: [9n], mended: [] }), 'fenced');
      assert.equal((await positions.look(subscription))?.position, -1n);
    });

    it('never move back, and keep what was handled ahead of them', async () => {
      const subscription = await claimed();
      await positions.advance(subscription, 1n, { ...nothing, position: 10n, done: [10n, 14n, 12n] });
      await positions.advance(subscription, 1n, { ...nothing, position: 7n, done: [12n, 16n] });
      const progress = await positions.look(subscription);
      assert.deepEqual([progress?.position, progress?.ahead], [10n, [12n, 14n, 16n]]);
      await positions.advance(subscription, 1n, { ...nothing, position: 14n });
      assert.deepEqual((await positions.look(subscription))?.ahead, [16n]);
    });

    it('keep what failed until it is mended', async () => {
      const subscription = await claimed();
      await positions.advance(subscription, 1n, { ...nothing, position: 3n, failed: [3n, 5n] });
      let progress = await positions.look(subscription);
      assert.deepEqual([progress?.failed, progress?.ahead], [[3n, 5n], [5n]]);
      await positions.advance(subscription, 1n, { ...nothing, position: 9n, mended: [3n] });
      progress = await positions.look(subscription);
      assert.deepEqual([progress?.position, progress?.failed, progress?.ahead], [9n, [5n], []]);
    });

    it('record a message once', async () => {
      const subscription = await claimed();
      assert.equal(await store.record(subscription, 1n, { position: 1n, done: [3n], mended: [] }), 'recorded');
      assert.equal(await store.record(subscription, 1n, { position: 1n, done: [3n], mended: [] }), 'duplicate');
      assert.equal(await store.record(subscription, 1n, { position: 1n, done: [1n], mended: [] }), 'duplicate');
      const progress = await positions.look(subscription);
      assert.deepEqual([progress?.position, progress?.ahead], [1n, [3n]]);
    });

    it('record several at once, or none of them', async () => {
      const subscription = await claimed();
      assert.equal(await store.record(subscription, 1n, { position: 0n, done: [1n, 2n], mended: [] }), 'recorded');
      assert.equal(await store.record(subscription, 1n, { position: 0n, done: [2n, 3n], mended: [] }), 'duplicate');
      assert.deepEqual((await positions.look(subscription))?.ahead, [1n, 2n]);
    });

    it('record the mending of a failure once', async () => {
      const subscription = await claimed();
      await positions.advance(subscription, 1n, { ...nothing, position: 3n, failed: [3n] });
      assert.equal(await store.record(subscription, 1n, { position: 3n, done: [], mended: [3n] }), 'recorded');
      assert.equal(await store.record(subscription, 1n, { position: 3n, done: [], mended: [3n] }), 'duplicate');
    });

    it('count the starts of a message until it has ended', async () => {
      const subscription = await claimed();
      await positions.start(subscription, 1n, 3n);
      await positions.start(subscription, 1n, 3n);
      await positions.start(subscription, 1n, 4n);
      assert.deepEqual(
        (await positions.look(subscription))?.started,
        new Map([
          [3n, 2],
          [4n, 1],
        ]),
      );
      await positions.advance(subscription, 1n, { ...nothing, position: 3n });
      assert.deepEqual((await positions.look(subscription))?.started, new Map([[4n, 1]]));
    });

    it('count the starts of what has failed and is tried again, until that has ended', async () => {
      const subscription = await claimed();
      const started = async () => (await positions.look(subscription))?.started;
      await positions.start(subscription, 1n, 2n);
      await positions.advance(subscription, 1n, { ...nothing, position: 3n, failed: [2n, 3n] });
      assert.deepEqual(await started(), new Map());
      await positions.start(subscription, 1n, 2n);
      await positions.start(subscription, 1n, 3n);
      await positions.advance(subscription, 1n, { ...nothing, position: 5n, done: [5n] });
      assert.deepEqual(
        await started(),
        new Map([
          [2n, 1],
          [3n, 1],
        ]),
      );
      await positions.advance(subscription, 1n, { ...nothing, position: 5n, mended: [2n] });
      await positions.advance(subscription, 1n, { ...nothing, position: 5n, failed: [3n] });
      assert.deepEqual(await started(), new Map());
    });

    it('tell the next owner whether the last one left in order', async () => {
      const subscription = await claimed(1n);
      assert.equal((await positions.claim(subscription, 2n, first))?.clean, false);
      await positions.release(subscription, 1n);
      assert.equal((await positions.look(subscription))?.clean, false);
      await positions.release(subscription, 2n);
      assert.equal((await positions.claim(subscription, 3n, first))?.clean, true);
    });

    it('begin anew when they are reset', async () => {
      const subscription = await claimed(1n);
      await positions.advance(subscription, 1n, { ...nothing, position: 9n, done: [12n], failed: [4n] });
      await store.reset(subscription, 2n, -1n);
      const progress = await positions.look(subscription);
      assert.deepEqual([progress?.position, progress?.ahead, progress?.failed], [-1n, [], []]);
      assert.equal(await positions.advance(subscription, 1n, { ...nothing, position: 9n }), false);
    });
  });
}
