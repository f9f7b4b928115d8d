import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Settlement } from '../../src/broker/broker.ts';
import { createFailures } from '../../src/event-store/failures.ts';
import { createMemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import { createMemoryPositions } from '../../src/event-store/memory-positions.ts';
import { compose } from '../../src/message/compose.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { createEventStoreSource } from '../../src/subscription/event-store-source.ts';
import { createManualClock } from '../support/manual-clock.ts';

const category = 'bookshelf::order';
const signal = new AbortController().signal;

function given(recoverEveryMs = 0) {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const store = createMemoryEventStore({ clock });
  const positions = createMemoryPositions();
  const { stream, type, metadata } = compose(
    { kind: 'EVENT', name: 'Counted', category, id: '1', dataText: '{}', options: {} },
    { normalized: 'bookshelf', camel: 'Bookshelf', time: '2026-01-01T00:00:00.000000+00:00', uuid: 'u', sequence: '1' },
  );
  const message = { id: 'u', type, dataText: '{}', metadataText: JSON.stringify(metadata), numbered: false };
  store.write([{ stream, expectedVersion: null, messages: [message] }]);
  const join = (token: bigint, own: Clock = clock) =>
    createEventStoreSource(
      {
        group: 'billing',
        name: `billing-${token}`,
        category,
        originStream: null,
        positionUpdateInterval: 10,
        recoverEveryMs,
        gapTimeoutMs: 1_000,
        suspects: 10,
      },
      {
        store,
        positions,
        token,
        clock: own,
        onWait: () => undefined,
        onGivenUp: () => undefined,
        onLost: () => undefined,
      },
    ).join();
  return { clock, store, positions, join };
}

describe('A message of the event store that has failed', () => {
  it('is suspected once its process has died, and each start of it is counted', async () => {
    const { join } = given();
    const first = await join(1n);
    const [delivery] = await first.read({ count: 1, blockMs: 0, acks: [], signal });
    assert.ok(delivery);
    const failure = { time: '2026-01-01T00:00:00Z', consumer: 'billing-1', error_type: 'Error', error_message: 'no' };
    const retry: Settlement = { kind: 'retry', delivery, failure };
    await first.settle([retry]);
    // From here on every owner dies with it in hand.
    for (const crashes of [0, 1, 2]) {
      const next = await join(BigInt(crashes + 2));
      const [again] = await next.takeGivenBack(10, 0);
      assert.deepEqual([again?.suspect, again?.crashes, again?.attempt], [true, crashes, 2]);
      assert.ok(again);
      await next.recordStart(again);
    }
  });
});

describe('A position that an owner has kept, and died before it told it in the store', () => {
  it('is told by the next one, though there is nothing more to handle', async () => {
    const { clock, store, positions, join } = given();
    const key = `billing-${category}`;
    await join(1n);
    await positions.advance(key, 1n, { position: 1n, done: [1n], failed: [], mended: [] });
    const next = await join(2n);
    await clock.advance(1_000);
    const reading = next.read({ count: 1, blockMs: 0, acks: [], signal });
    await clock.advance(10);
    assert.deepEqual(await reading, []);
    const told = await store.lastMessage(`position-${key}`);
    assert.deepEqual(told === null ? null : JSON.parse(told.dataText), { position: 1 });
  });

  it('is tried again by the next owner also where the clock of that one is behind', async () => {
    const { clock, join } = given(500);
    const first = await join(1n);
    const [delivery] = await first.read({ count: 1, blockMs: 0, acks: [], signal });
    assert.ok(delivery);
    const failure = { time: '2026-01-01T00:00:00Z', consumer: 'billing-1', error_type: 'Error', error_message: 'no' };
    await first.settle([{ kind: 'retry', delivery, failure }]);
    const next = await join(2n, { ...clock, now: () => clock.now() - 600_000 });
    assert.deepEqual(await next.takeGivenBack(10, 0), []);
    await clock.advance(500);
    assert.equal((await next.takeGivenBack(10, 0)).length, 1);
  });
});

describe('The record of failures', () => {
  it('is read once, however many read it at once', async () => {
    const clock = createManualClock(Date.UTC(2026, 0, 1));
    const store = createMemoryEventStore({ clock });
    const failures = createFailures({ group: 'billing', category }, { store, clock });
    await failures.read();
    const failed = (position: number) => ({ type: 'Failed', facts: { position, retry_count: 0 } }) as const;
    await failures.write([failed(1)]);
    await Promise.all([failures.read(), failures.read()]);
    await failures.write([failed(2), failed(3)]);
    await failures.read();
    assert.deepEqual([...failures.open.keys()], [1n, 2n, 3n]);
  });
});
