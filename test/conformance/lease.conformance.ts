import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { LeaseStore } from '../../src/runtime/lease.ts';

/** A store made for one run of the suite. */
export interface LeasesUnderTest {
  readonly leases: LeaseStore;
  /** Lets time go by on the store's own clock. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** What every lease store promises. */
export function leaseConformance(name: string, create: () => Promise<LeasesUnderTest>): void {
  describe(`leases in ${name}`, () => {
    let store: LeasesUnderTest;
    let serial = 0;
    before(async () => {
      store = await create();
    });
    after(() => store.close());
    const aName = () => `lease ${serial++}`;
    const acquired = async (lease: string, owner: string, ttlMs = 10_000): Promise<string> => {
      const token = await store.leases.acquire(lease, owner, ttlMs);
      assert.ok(token !== null, `${owner} did not get ${lease}`);
      return token;
    };

    it('have one owner at a time', async () => {
      const lease = aName();
      await acquired(lease, 'one');
      assert.equal(await store.leases.acquire(lease, 'two', 10_000), null);
    });

    it('are given to one of many that ask at once', async () => {
      const lease = aName();
      const owners = Array.from({ length: 8 }, (_, index) => `owner ${index}`);
      const tokens = await Promise.all(owners.map((owner) => store.leases.acquire(lease, owner, 10_000)));
      assert.equal(tokens.filter((token) => token !== null).length, 1);
    });

    it('are independent of each other', async () => {
      await acquired(aName(), 'one');
      await acquired(aName(), 'two');
    });

    it('are given to their owner again, with the token it has', async () => {
      const lease = aName();
      const token = await acquired(lease, 'one');
      assert.equal(await acquired(lease, 'one'), token);
    });

    it('can be taken over once they have run out, with a larger token', async () => {
      const lease = aName();
      const first = await acquired(lease, 'one', 1_000);
      await store.pass(1_100);
      const second = await acquired(lease, 'two');
      assert.ok(BigInt(second) > BigInt(first));
    });

    it('get a larger token also where the former owner takes them after they have run out', async () => {
      const lease = aName();
      const first = await acquired(lease, 'one', 1_000);
      await store.pass(1_100);
      assert.ok(BigInt(await acquired(lease, 'one')) > BigInt(first));
    });

    it('last as long as they are renewed', async () => {
      const lease = aName();
      const token = await acquired(lease, 'one', 1_000);
      await store.pass(700);
      assert.equal(await store.leases.renew(lease, 'one', token, 1_000), true);
      await store.pass(700);
      assert.equal(await store.leases.acquire(lease, 'two', 1_000), null);
    });

    it('cannot be renewed once they have run out, by another owner, or with another token', async () => {
      const lease = aName();
      const token = await acquired(lease, 'one', 1_000);
      assert.equal(await store.leases.renew(lease, 'two', token, 1_000), false);
      assert.equal(await store.leases.renew(lease, 'one', String(BigInt(token) + 1n), 1_000), false);
      assert.equal(await store.leases.renew(aName(), 'one', token, 1_000), false);
      await store.pass(1_100);
      assert.equal(await store.leases.renew(lease, 'one', token, 1_000), false);
    });

    it('can be had at once when they are released, with a larger token', async () => {
      const lease = aName();
      const first = await acquired(lease, 'one');
      await store.leases.release(lease, 'one', first);
      assert.equal(await store.leases.renew(lease, 'one', first, 1_000), false);
      assert.ok(BigInt(await acquired(lease, 'two')) > BigInt(first));
    });

    it('are told by the beginning of their names, as long as they are held', async () => {
      const prefix = `${aName()}_%:`;
      const [first] = [await acquired(`${prefix}b`, 'one', 1_000), await acquired(`${prefix}a`, 'two')];
      await acquired(aName(), 'one');
      assert.deepEqual((await store.leases.live(prefix)).toSorted(), [`${prefix}a`, `${prefix}b`]);
      await store.leases.release(`${prefix}b`, 'one', first);
      assert.deepEqual(await store.leases.live(prefix), [`${prefix}a`]);
      await store.pass(11_000);
      assert.deepEqual(await store.leases.live(prefix), []);
    });

    it('are not released by one who has lost them', async () => {
      const lease = aName();
      const first = await acquired(lease, 'one', 1_000);
      await store.pass(1_100);
      await acquired(lease, 'two');
      await store.leases.release(lease, 'one', first);
      assert.equal(await store.leases.acquire(lease, 'three', 1_000), null);
    });
  });
}
