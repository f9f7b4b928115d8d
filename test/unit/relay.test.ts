import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Broker, Outgoing, PublishResult } from '../../src/broker/broker.ts';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import type { OutboxConfig } from '../../src/config/config.ts';
import { decode } from '../../src/message/codec.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import { createMemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import type { Outbox, OutboxStore } from '../../src/outbox/outbox.ts';
import { createShards } from '../../src/outbox/shards.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { toFailure } from '../../src/runtime/failure.ts';
import { createWake } from '../../src/runtime/wake.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';

const config: OutboxConfig = {
  broker: 'default',
  externalBrokers: [],
  batchSize: 3,
  pollEveryMs: 1_000,
  maxPollEveryMs: 1_000,
  ordering: 'stream',
  retry: { maxAttempts: 3, backoff: { baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0 } },
  cleanup: { publishedRetentionMs: 1_000_000, abandonedRetentionMs: 1_000_000, batchSize: 100, everyMs: 60_000 },
  maxMessageBytes: 1_000,
  maxBatchBytes: 100_000,
  lease: { ttlMs: 15_000, renewEveryMs: 4_000, marginMs: 2_000 },
  lanes: null,
  publishWait: null,
  hint: false,
};
const domain = { name: 'Bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' };
const event = (id: string, n: number, options = {}): NewMessage => ({
  kind: 'EVENT',
  name: 'OrderPlaced',
  category: 'bookshelf::order',
  id,
  dataText: JSON.stringify({ n }),
  options,
});

type Publish = Broker['publish'];
type Mark = Outbox['published'];

function given(
  changes: Partial<OutboxConfig> = {},
  wrap: (publish: Publish) => Publish = (publish) => publish,
  partitioned: ReadonlyMap<string, string> = new Map(),
  wrapMark: (mark: Mark) => Mark = (mark) => mark,
) {
  const clock = createManualClock(1_000_000);
  const events = createEvents();
  const wake = createWake(clock);
  const settings = { ...config, ...changes };
  const outbox = createMemoryOutbox(
    { database: 'default', domain, ordering: settings.ordering, maxMessageBytes: settings.maxMessageBytes },
    { clock, random: Math.random, emit: events.emit, onAdded: wake.notify },
  );
  const inline = createInlineBroker({ name: 'default' }, { clock });
  const sent: string[] = [];
  const streams = new Set<string>();
  const recording: Publish = async (entries) => {
    const results = await inline.publish(entries);
    for (const { stream } of entries) streams.add(stream);
    sent.push(...entries.map(({ body }) => `${decode(body).stream.split('-')[1]}${String(decode(body).data['n'])}`));
    return results;
  };
  const broker: Broker = { ...inline, publish: wrap(recording) };
  const store: OutboxStore = {
    ...outbox,
    shard(...place) {
      const shard = outbox.shard(...place);
      return { ...shard, published: wrapMark(shard.published) };
    },
  };
  const start = (owner: string) => {
    const soft = new AbortController();
    const shards = createShards(settings, {
      store,
      broker,
      target: null,
      partitioned,
      owner,
      clock,
      random: () => 0.5,
      emit: events.emit,
      rest: (_shard, ms, signal) => wake.rest(ms, signal),
      loopOptions: loopOptionsOn(clock, events),
    });
    const running = shards.run({ soft: soft.signal, hard: soft.signal });
    return {
      async stop() {
        soft.abort();
        await clock.advance(10);
        await running;
      },
    };
  };
  return { clock, events, outbox, sent, streams, start };
}

/** A broker that says no to some entries, and holds back those behind them. */
const refusing =
  (says: (entry: Outgoing) => boolean) =>
  (publish: Publish): Publish =>
  async (entries) => {
    const refused = new Set<string | null>();
    const results: PublishResult[] = [];
    for (const entry of entries) {
      if (entry.key !== null && refused.has(entry.key)) results.push({ kind: 'held' });
      else if (says(entry)) {
        refused.add(entry.key);
        results.push({ kind: 'refused', failure: toFailure(new Error('no')) });
      } else results.push(...(await publish([entry])));
    }
    return results;
  };

describe('the relay', () => {
  it('publishes rows in the order in which they were written, however many batches they fill', async () => {
    const { clock, outbox, sent, start } = given();
    outbox.add(Array.from({ length: 8 }, (_, n) => event('a', n)));
    const relay = start('one');
    await clock.advance(100);
    assert.deepEqual(sent, ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']);
    assert.deepEqual(await outbox.stats(null), { pending: 0, failed: 0, abandoned: 0, oldestPendingMs: null });
    await relay.stop();
  });

  it('sends new rows while the marks of the last ones wait for the disk', async () => {
    const held: (() => void)[] = [];
    const slowly = (mark: Mark): Mark =>
      async function later(ids) {
        await new Promise<void>((resolve) => held.push(resolve));
        await mark(ids);
      };
    const { clock, outbox, sent, start } = given({}, undefined, undefined, slowly);
    const relay = start('a');
    outbox.add([event('o1', 1)]);
    await clock.advance(50);
    outbox.add([event('o1', 2)]);
    await clock.advance(50);
    assert.deepEqual(sent, ['o11', 'o12']);
    for (let marks = 0; marks < 2; marks += 1) {
      held.shift()?.();
      await clock.advance(50);
    }
    assert.equal((await outbox.stats(null)).pending, 0);
    await relay.stop();
    assert.deepEqual(sent, ['o11', 'o12']);
  });

  it('sends again what could not be marked', async () => {
    let failures = 1;
    const failing = (mark: Mark): Mark =>
      async function lost(ids) {
        failures -= 1;
        if (failures >= 0) throw new UnavailableError('database_timeout', 'no answer');
        await mark(ids);
      };
    const { clock, outbox, sent, start } = given({}, undefined, undefined, failing);
    const relay = start('a');
    outbox.add([event('o1', 1)]);
    await clock.advance(5_000);
    assert.deepEqual(sent, ['o11', 'o11']);
    assert.equal((await outbox.stats(null)).pending, 0);
    await relay.stop();
  });

  it('waits out a broker that is away: nothing is counted and nothing is abandoned', async () => {
    let away = true;
    const { clock, outbox, sent, start, events } = given(
      {},
      (publish) => (entries) =>
        away ? Promise.reject(new UnavailableError('broker_unavailable', 'connection refused')) : publish(entries),
    );
    outbox.add([event('a', 1)]);
    const relay = start('one');
    await clock.advance(600_000);
    assert.equal(events.count('outbox.row_refused'), 0);
    away = false;
    await clock.advance(2_000);
    assert.deepEqual(sent, ['a1']);
    await relay.stop();
  });

  it('tries a refused row again after a growing wait and abandons it at last, holding back its stream alone', async () => {
    const { clock, outbox, sent, start, events } = given(
      {},
      refusing(({ body }) => decode(body).data['n'] === 1),
    );
    outbox.add([event('a', 0), event('a', 1), event('b', 0), event('a', 2), event('b', 2)]);
    const relay = start('one');
    await clock.advance(900);
    assert.deepEqual(sent, ['a0', 'b0', 'b2']);
    await clock.advance(3_200);
    assert.deepEqual(
      events.names().filter((name) => name.startsWith('outbox.row_') && name !== 'outbox.row_published'),
      ['outbox.row_refused', 'outbox.row_refused', 'outbox.row_abandoned'],
    );
    assert.deepEqual(sent, ['a0', 'b0', 'b2', 'a2']);
    assert.equal((await outbox.stats(null)).abandoned, 1);
    await relay.stop();
  });

  it('holds back nothing where no order is asked for', async () => {
    const { clock, outbox, sent, start } = given(
      { ordering: 'none' },
      refusing(({ body }) => decode(body).data['n'] === 1),
    );
    outbox.add([event('a', 1), event('a', 2)]);
    const relay = start('one');
    await clock.advance(500);
    assert.deepEqual(sent, ['a2']);
    await relay.stop();
  });

  it('abandons a row that is too large, and its neighbours go on', async () => {
    const { clock, outbox, sent, start } = given({ maxMessageBytes: 1_000 });
    outbox.add([{ ...event('a', 1), dataText: JSON.stringify({ n: 'x'.repeat(1_000) }) }, event('a', 2)]);
    const relay = start('one');
    await clock.advance(100);
    assert.deepEqual(sent, ['a2']);
    assert.equal((await outbox.stats(null)).abandoned, 1);
    await relay.stop();
  });

  it('leaves a row for later until its time has come', async () => {
    const { clock, outbox, sent, start } = given();
    outbox.add([event('a', 1, { deliver_at: new Date(clock.now() + 5_000).toISOString() }), event('a', 2)]);
    const relay = start('one');
    await clock.advance(4_000);
    assert.deepEqual(sent, ['a2']);
    await clock.advance(2_500);
    assert.deepEqual(sent, ['a2', 'a1']);
    await relay.stop();
  });

  it('has one owner at a time, and hands over at once when it stops', async () => {
    const { clock, outbox, sent, start, events } = given();
    const first = start('one');
    await clock.advance(100);
    const second = start('two');
    await clock.advance(20_000);
    assert.deepEqual(
      events.all.flatMap((each) => (each.event === 'lease.acquired' ? [each.owner] : [])),
      ['one'],
    );
    await first.stop();
    outbox.add([event('a', 1)]);
    await clock.advance(5_000);
    assert.deepEqual(sent, ['a1']);
    assert.deepEqual(
      events.all.flatMap((each) => (each.event === 'lease.acquired' ? [each.owner] : [])),
      ['one', 'two'],
    );
    await second.stop();
  });

  it('sends a new row without waiting for the next poll where it is told of it', async () => {
    const { clock, outbox, sent, start } = given();
    const relay = start('one');
    await clock.advance(30_000);
    outbox.add([event('a', 1)]);
    await clock.advance(1);
    assert.deepEqual(sent, ['a1']);
    await relay.stop();
  });

  it('sends rows with a partition key to their partition where partitions are read, and nowhere else', async () => {
    const lanes = { threshold: 0, suffix: 'later' };
    const rows = [
      event('a', 1, { partition_key: 'c1' }),
      event('b', 1, { partition_key: 'c1', priority: -1 }),
      event('c', 1),
      event('d', 1, { priority: -1 }),
    ];
    const streamsWith = async (partitioned: readonly string[]) => {
      const { clock, outbox, streams, start } = given(
        { lanes },
        (publish) => publish,
        new Map(partitioned.map((each) => [each, 'customer'])),
      );
      outbox.add(rows);
      const relay = start('one');
      await clock.advance(100);
      await relay.stop();
      return [...streams].sort();
    };
    assert.deepEqual(await streamsWith([]), ['bookshelf::order', 'bookshelf::order:later']);
    assert.deepEqual(await streamsWith(['bookshelf::order']), [
      'bookshelf::order',
      'bookshelf::order:c1',
      'bookshelf::order:c1:later',
      'bookshelf::order:later',
    ]);
  });

  it('takes the key of a row that names none from its payload, and asks for no order where that has none either', async () => {
    const { clock, outbox, streams, start, events } = given(
      {},
      (publish) => publish,
      new Map([['bookshelf::order', 'n']]),
    );
    outbox.add([event('a', 7), event('b', 8, { partition_key: 'c1' })]);
    const relay = start('one');
    await clock.advance(100);
    assert.deepEqual([...streams].sort(), ['bookshelf::order:7', 'bookshelf::order:c1']);
    assert.equal(events.count('outbox.row_abandoned'), 0);
    await relay.stop();
  });

  it('abandons a row whose key cannot name a partition, and its neighbours go on', async () => {
    const lanes = { threshold: 0, suffix: 'later' };
    const { clock, outbox, sent, start, events } = given(
      { lanes },
      (publish) => publish,
      new Map([['bookshelf::order', 'customer']]),
    );
    outbox.add([event('a', 1, { partition_key: 'later' }), event('a', 2, { partition_key: 'c1' })]);
    const relay = start('one');
    await clock.advance(100);
    assert.deepEqual(sent, ['a2']);
    const [abandoned] = events.all.filter((each) => each.event === 'outbox.row_abandoned');
    assert.equal(abandoned?.event === 'outbox.row_abandoned' && abandoned.reason, 'invalid_partition_key');
    await relay.stop();
  });
});
