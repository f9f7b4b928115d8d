import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryLeases } from '../../src/outbox/memory-lease.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { Grant, LeaseStore } from '../../src/runtime/lease.ts';
import { whileLeased } from '../../src/runtime/lease.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { createManualClock } from '../support/manual-clock.ts';

const config = { name: 'shard', owner: 'one', ttlMs: 15_000, renewEveryMs: 4_000, marginMs: 2_000 };
const never = new Promise<never>(() => undefined);

/** A lease that is held until its grant ends. */
function held(clock: ManualClock, { store = createMemoryLeases(clock) as LeaseStore, seen = clock as Clock } = {}) {
  const soft = new AbortController();
  const grants: Grant[] = [];
  const changes: string[] = [];
  const done = whileLeased(
    config,
    { store, clock: seen, onChange: (state) => changes.push(state), onError: () => undefined },
    { soft: soft.signal, hard: new AbortController().signal },
    (grant) => {
      grants.push(grant);
      return new Promise((resolve) => {
        for (const signal of [grant.signal, soft.signal]) signal.addEventListener('abort', () => resolve());
      });
    },
  );
  const grant = (): Grant => {
    const [first] = grants;
    assert.ok(first);
    return first;
  };
  return {
    grant,
    grants,
    changes,
    end() {
      soft.abort();
      return done;
    },
  };
}

const withRenewal = (clock: Clock, renew: LeaseStore['renew']): LeaseStore => ({ ...createMemoryLeases(clock), renew });

describe('a lease in hand', () => {
  it('is kept as long as it is renewed, and given back at the end', async () => {
    const clock = createManualClock();
    const store = createMemoryLeases(clock);
    const { grant, grants, changes, end } = held(clock, { store });
    await clock.advance(120_000);
    assert.equal(grants.length, 1);
    assert.equal(grant().trusted(), true);
    await end();
    assert.deepEqual(changes, ['acquired', 'released']);
    assert.ok(await store.acquire('shard', 'two', 1_000));
  });

  it('is trusted no longer than its time to live less the margin, though the renewal hangs', async () => {
    const clock = createManualClock();
    const { grant } = held(clock, { store: withRenewal(clock, () => never) });
    await clock.advance(12_999);
    assert.deepEqual([grant().trusted(), grant().signal.aborted], [true, false]);
    await clock.advance(1);
    assert.deepEqual([grant().trusted(), grant().signal.aborted], [false, true]);
  });

  it('counts from the moment a renewal was asked for, not from its answer', async () => {
    const clock = createManualClock();
    let asked = 0;
    const store = withRenewal(clock, async () => {
      asked += 1;
      if (asked > 1) return never;
      await clock.sleep(5_000, new AbortController().signal);
      return true;
    });
    const { grant } = held(clock, { store });
    // Asked for at 4,000 and answered at 9,000: good until 17,000, not until 22,000.
    await clock.advance(16_999);
    assert.equal(grant().signal.aborted, false);
    await clock.advance(1);
    assert.equal(grant().signal.aborted, true);
  });

  it('is let go of at once when the store says that another owner has it', async () => {
    const clock = createManualClock();
    const { grant, changes } = held(clock, { store: withRenewal(clock, async () => false) });
    await clock.advance(4_000);
    assert.equal(grant().signal.aborted, true);
    assert.deepEqual(changes.slice(0, 2), ['acquired', 'lost']);
  });

  it('outlives renewals that fail, up to the end of the trust', async () => {
    const clock = createManualClock();
    const store = withRenewal(clock, () => Promise.reject(new Error('away')));
    const { grant } = held(clock, { store });
    await clock.advance(12_999);
    assert.equal(grant().trusted(), true);
    await clock.advance(1);
    assert.equal(grant().trusted(), false);
  });

  it('of a process that was paused does not trust it before its timers have fired', async () => {
    const clock = createManualClock();
    let pausedMs = 0;
    const seen: Clock = { ...clock, monotonic: () => clock.monotonic() + pausedMs };
    const { grant } = held(clock, { seen });
    await clock.advance(1_000);
    pausedMs = 20_000;
    assert.deepEqual([grant().trusted(), grant().signal.aborted], [false, false]);
  });
});
