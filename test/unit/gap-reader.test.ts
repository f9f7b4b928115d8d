import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventStore } from '../../src/event-store/event-store.ts';
import { everything } from '../../src/event-store/event-store.ts';
import type { GapWait } from '../../src/event-store/gap-reader.ts';
import { createGapReader } from '../../src/event-store/gap-reader.ts';
import type { MemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import { createMemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import type { Append } from '../../src/message/append.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';
import { createManualClock } from '../support/manual-clock.ts';

let serial = 0;
const an = (stream: string): Append => ({
  stream,
  expectedVersion: null,
  messages: [{ id: `m-${serial++}`, type: 'A', dataText: '{}', metadataText: null, numbered: false }],
});

function scene(category: string, change: (store: MemoryEventStore) => EventStore = (store) => store) {
  const clock = createManualClock();
  const store = createMemoryEventStore({ clock });
  const waits: (GapWait | null)[] = [];
  const givenUp: bigint[] = [];
  const read = createGapReader(
    { category, gapTimeoutMs: 5_000 },
    {
      store: change(store),
      clock,
      onWait: (wait) => void waits.push(wait),
      onGivenUp: (positions) => void givenUp.push(...positions),
    },
  );
  let next = 0n;
  return {
    clock,
    store,
    waits,
    givenUp,
    async positions(limit = 100): Promise<readonly number[]> {
      const got = await read(next, limit);
      next = got.next;
      return got.messages.map(({ globalPosition }) => Number(globalPosition));
    },
  };
}

describe('reading everything without a gap', () => {
  it('reads what has no gap at once', async () => {
    const { store, positions, waits } = scene(everything);
    store.write([an('a-1'), an('b-1'), an('a-2')]);
    assert.deepEqual(await positions(2), [1, 2]);
    assert.deepEqual(await positions(2), [3]);
    assert.deepEqual(await positions(2), []);
    assert.deepEqual(waits, []);
  });

  it('waits for a message that commits out of order, and says who is waited for', async () => {
    const { clock, store, positions, waits } = scene(everything);
    store.write([an('a-1')]);
    const open = store.begin([an('a-2')], { pid: 4711, ageMs: 60_000 });
    store.write([an('b-1')]);
    assert.deepEqual(await positions(), [1]);
    await clock.advance(3_600_000);
    assert.deepEqual(await positions(), []);
    assert.deepEqual(
      [waits.at(-1)?.position, waits.at(-1)?.writer?.pid, waits.at(-1)?.waitedMs],
      [2n, 4711, 3_600_000],
    );
    open.commit();
    assert.deepEqual(await positions(), [2, 3]);
    assert.equal(waits.at(-1), null);
  });

  it('goes on at once over positions that were rolled back', async () => {
    const { store, positions, waits, givenUp } = scene(everything);
    store.write([an('a-1')]);
    store.begin([an('a-2')]).rollback();
    store.write([an('b-1')]);
    assert.deepEqual(await positions(), [1, 3]);
    assert.deepEqual([waits, givenUp], [[], []]);
  });

  it('does not wait for those that began after the gap', async () => {
    const { store, positions } = scene(everything);
    store.begin([an('a-1')]).rollback();
    store.write([an('a-1')]);
    assert.deepEqual(await positions(), [2]);
    const first = store.begin([an('a-2')]);
    store.write([an('b-1')]);
    assert.deepEqual(await positions(), []);
    const later = store.begin([an('a-3')]);
    first.commit();
    assert.deepEqual(await positions(), [3, 4]);
    later.commit();
    assert.deepEqual(await positions(), [5]);
  });

  it('goes over what appears in many pages', async () => {
    const { store, positions } = scene(everything);
    const open = [1, 2, 3].map((each) => {
      const writer = store.begin([an(`a-${each}`), an(`a-${each}`)]);
      store.write([an('b-1')]);
      return writer;
    });
    assert.deepEqual(await positions(2), []);
    open[2]?.commit();
    open[0]?.commit();
    assert.deepEqual(await positions(2), [1, 2]);
    open[1]?.rollback();
    const rest: number[] = [];
    for (let reads = 0; reads < 6; reads += 1) rest.push(...(await positions(2)));
    assert.deepEqual(rest, [3, 6, 7, 8, 9]);
  });
});

describe('a store that does not tell who writes', () => {
  const mute = (store: MemoryEventStore): EventStore => ({
    ...store,
    horizon: async () => {
      throw new MisconfiguredError('event_store_rights', 'pg_locks is not to be read');
    },
  });

  it('is waited for as long as the timeout, and what is given up is told by position', async () => {
    const { clock, store, positions, givenUp, waits } = scene(everything, mute);
    store.write([an('a-1')]);
    const open = store.begin([an('a-2'), an('a-2')]);
    store.write([an('b-1')]);
    assert.deepEqual(await positions(), [1]);
    await clock.advance(4_000);
    assert.deepEqual(await positions(), []);
    assert.equal(waits.at(-1)?.writer, null);
    await clock.advance(1_000);
    assert.deepEqual(await positions(), [4]);
    assert.deepEqual(givenUp, [2n, 3n]);
    open.commit();
    assert.deepEqual(await positions(), []);
  });

  it('is not given up where the message comes in time', async () => {
    const { clock, store, positions, givenUp } = scene(everything, mute);
    const open = store.begin([an('a-2')]);
    store.write([an('b-1')]);
    assert.deepEqual(await positions(), []);
    await clock.advance(4_999);
    open.commit();
    assert.deepEqual(await positions(), [1, 2]);
    assert.deepEqual(givenUp, []);
  });
});

describe('reading a category without a gap', () => {
  it('waits for those who write past the functions of the store', async () => {
    const { store, positions } = scene('a');
    store.write([an('a-1')]);
    const open = store.begin([an('a-2')]);
    store.write([an('a-3')]);
    assert.deepEqual(await positions(), []);
    open.commit();
    assert.deepEqual(await positions(), [1, 2, 3]);
  });

  it('reads over the positions of other categories', async () => {
    const { store, positions, waits } = scene('a');
    store.write([an('b-1'), an('a-1'), an('b-1'), an('a-1')]);
    assert.deepEqual(await positions(1), [2]);
    assert.deepEqual(await positions(1), [4]);
    assert.deepEqual(waits, []);
  });
});
