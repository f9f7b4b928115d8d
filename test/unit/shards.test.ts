import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Broker } from '../../src/broker/broker.ts';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import { createMemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import { createShards } from '../../src/outbox/shards.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { anOutboxConfig } from '../support/postgresql-database.ts';

const domain = { name: 'Bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' };
const event = (n: number): NewMessage => ({
  kind: 'EVENT',
  name: 'OrderPlaced',
  category: 'bookshelf::order',
  id: `o${n}`,
  dataText: '{}',
  options: {},
});

function given(shards: number, wrap: (publish: Broker['publish']) => Broker['publish'] = (publish) => publish) {
  const clock = createManualClock(1_000_000);
  const events = createEvents();
  const outbox = createMemoryOutbox(
    { database: 'default', domain, ordering: 'stream', maxMessageBytes: 1_000 },
    { clock, random: Math.random, emit: events.emit, onAdded: () => undefined },
  );
  let cut = shards;
  const store = { ...outbox, shards: async () => cut };
  const inline = createInlineBroker({ name: 'default' }, { clock });
  const broker: Broker = { ...inline, publish: wrap(inline.publish) };

  function start(owner: string, loopOptions = loopOptionsOn(clock, events)) {
    const soft = new AbortController();
    let dead = false;
    /** A replica that died asks for nothing more. */
    const living = async <T>(call: () => Promise<T>): Promise<T> => (dead ? new Promise<T>(() => undefined) : call());
    const leases: typeof store.leases = {
      acquire: (...asked) => living(() => store.leases.acquire(...asked)),
      renew: (...asked) => living(() => store.leases.renew(...asked)),
      release: (...asked) => living(() => store.leases.release(...asked)),
      live: (...asked) => living(() => store.leases.live(...asked)),
    };
    const service = createShards(anOutboxConfig(), {
      store: { ...store, leases },
      broker,
      target: null,
      partitioned: new Map(),
      owner,
      clock,
      random: () => 0.5,
      emit: events.emit,
      rest: (_shard, ms, signal) => clock.sleep(ms, signal),
      loopOptions,
    });
    const running = service.run({ soft: soft.signal, hard: soft.signal });
    return {
      async stop() {
        soft.abort();
        await clock.advance(10);
        await running;
      },
      die() {
        dead = true;
      },
    };
  }

  /** Who holds which shard, by what was told. */
  function owners(): Record<string, string> {
    const held: Record<string, string> = {};
    for (const each of events.all) {
      if (each.event !== 'lease.acquired' && each.event !== 'lease.released' && each.event !== 'lease.lost') continue;
      const shard = each.lease.split(':').at(-1) ?? '';
      if (each.event === 'lease.acquired') held[shard] = each.owner;
      else if (held[shard] === each.owner) delete held[shard];
    }
    return held;
  }
  const counts = () => {
    const all = Object.values(owners());
    return Object.fromEntries(
      ['one', 'two', 'three'].map((name) => [name, all.filter((each) => each === name).length]),
    );
  };
  const cutInto = (count: number) => {
    cut = count;
  };
  return { clock, events, outbox, start, owners, counts, cutInto };
}

describe('replicas that relay one outbox', () => {
  it('come to an even share of its shards, and take over those of one that leaves', async () => {
    const { clock, start, counts } = given(5);
    const one = start('one');
    await clock.advance(100);
    assert.deepEqual(counts(), { one: 5, two: 0, three: 0 });
    const two = start('two');
    await clock.advance(5_000);
    assert.deepEqual(counts(), { one: 3, two: 2, three: 0 });
    const three = start('three');
    await clock.advance(5_000);
    assert.deepEqual(counts(), { one: 2, two: 2, three: 1 });
    await two.stop();
    await clock.advance(5_000);
    const { one: ones = 0, three: threes = 0 } = counts();
    assert.equal(ones + threes, 5);
    assert.ok(ones <= 3 && threes <= 3);
    await one.stop();
    await clock.advance(5_000);
    assert.deepEqual(counts(), { one: 0, two: 0, three: 5 });
    await three.stop();
  });

  it('take over the shards of one that died once its leases have run out', async () => {
    const { clock, start, counts } = given(4);
    const one = start('one');
    const two = start('two');
    await clock.advance(5_000);
    assert.deepEqual(counts(), { one: 2, two: 2, three: 0 });
    one.die();
    await clock.advance(25_000);
    assert.equal(counts()['two'], 4);
    await two.stop();
  });

  it('never hold a shard twice, whoever comes and goes', async () => {
    const { clock, start, events } = given(6);
    const running = new Map<string, ReturnType<typeof start>>();
    for (const [round, name] of ['one', 'two', 'three', 'one', 'two', 'one', 'three', 'two'].entries()) {
      const there = running.get(name);
      if (there === undefined) running.set(name, start(name));
      else {
        await there.stop();
        running.delete(name);
      }
      await clock.advance(700 * round);
    }
    for (const each of running.values()) await each.stop();
    const held = new Map<string, string>();
    for (const each of events.all) {
      if (each.event === 'lease.acquired') {
        assert.ok(!held.has(each.lease), `${each.lease} of ${held.get(each.lease)} was given to ${each.owner}`);
        held.set(each.lease, each.owner);
      } else if (each.event === 'lease.released' || each.event === 'lease.lost') held.delete(each.lease);
    }
    assert.equal(held.size, 0);
  });

  it('count nothing in an outage of ten minutes, and go on within two seconds of its end', async () => {
    let away = true;
    const { clock, start, outbox, events } = given(
      2,
      (publish) => (entries) =>
        away ? Promise.reject(new UnavailableError('redis_unreachable', 'connection refused')) : publish(entries),
    );
    // The latest that the waits of the daemon itself can be.
    const relays = start(
      'one',
      observedLoops(clock, () => 0.999, events.emit),
    );
    outbox.add(Array.from({ length: 20 }, (_, n) => event(n)));
    await clock.advance(600_000);
    const { pending, failed, abandoned } = await outbox.stats(null);
    assert.deepEqual([pending, failed, abandoned, events.count('outbox.row_refused')], [20, 0, 0, 0]);
    away = false;
    await clock.advance(2_000);
    assert.equal((await outbox.stats(null)).pending, 0);
    await relays.stop();
  });

  it('begin anew when the outbox is cut into another number of shards, after all have stopped', async () => {
    const { clock, start, owners, outbox, events, cutInto } = given(2);
    const one = start('one');
    const two = start('two');
    await clock.advance(5_000);
    cutInto(4);
    await clock.advance(5_000);
    assert.deepEqual(Object.keys(owners()).sort(), ['0/4', '1/4', '2/4', '3/4']);
    assert.deepEqual(new Set(Object.values(owners())), new Set(['one', 'two']));
    assert.equal(events.count('outbox.resharded'), 2);
    const names = events.all.flatMap((each) =>
      each.event === 'lease.acquired' || each.event === 'lease.released' ? [`${each.event} ${each.lease}`] : [],
    );
    const firstNew = names.findIndex((each) => each.endsWith('/4'));
    assert.deepEqual(
      names.slice(firstNew).filter((each) => each.endsWith('/2')),
      [],
    );
    outbox.add(Array.from({ length: 20 }, (_, n) => event(n)));
    await clock.advance(2_000);
    assert.equal((await outbox.stats(null)).pending, 0);
    await one.stop();
    await two.stop();
  });
});
