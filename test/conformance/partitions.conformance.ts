import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AttemptRecord, Broker, Delivery, Settlement } from '../../src/broker/broker.ts';
import type { Lease, PartitionBroker, Partitions } from '../../src/broker/partition.ts';
import { deadLettersOf, laneOf, partitionOf, partitionsOf, replayOf } from '../../src/message/stream-name.ts';

/** A broker with partitions to be tried. */
export interface PartitionHarness {
  readonly broker: Broker;
  /** Lets time pass, for leases and for what is idle. */
  pass(ms: number): Promise<void>;
  end(): Promise<void>;
}

export interface PartitionTrial {
  readonly name: string;
  readonly leaseTtlMs: number;
  readonly start: () => Promise<PartitionHarness>;
}

let names = 0;
const never = new AbortController().signal;
const bodies = (deliveries: readonly Delivery[]) => deliveries.map(({ body }) => body);
const failure: AttemptRecord = {
  time: '2026-11-23T14:34:47.000000+00:00',
  consumer: 'one:1',
  error_type: 'Error',
  error_message: 'no stock',
};
const start = ['-', '-', '-', '-'];

/** What every broker with partitions promises. */
export function describePartitions({ name, leaseTtlMs, start: begin }: PartitionTrial): void {
  describe(`${name} partitions`, () => {
    let harness: PartitionHarness;
    let broker: Broker;
    let partitions: PartitionBroker;
    const opened: Partitions[] = [];
    before(async () => {
      harness = await begin();
      broker = harness.broker;
      assert.ok(broker.partitions);
      partitions = broker.partitions;
    });
    after(async () => {
      for (const each of opened) await each.close();
      await harness.end();
    });

    const domain = () => {
      const unique = `${process.pid}x${names++}`;
      const category = `parts${unique}::order`;
      const mine = `group${unique}`;
      const index = partitionsOf(category);
      const publishTo = (stream: string, key: string, ...texts: readonly string[]) =>
        broker.publish(texts.map((body) => ({ stream, body, key: null, partition: { index, key } })));
      const open = (owner: string, group = mine) => {
        const options = { group, owner, categories: [category], laneSuffix: 'backfill', leaseTtlMs };
        const one = partitions.open(options);
        opened.push(one);
        return one;
      };
      return {
        category,
        open,
        publish: (key: string, ...texts: readonly string[]) => publishTo(partitionOf(category, key), key, ...texts),
        publishTo,
        group: mine,
        view: partitions.view({ group: mine, categories: [category], laneSuffix: 'backfill' }),
      };
    };
    const take = async (of: Partitions, key: string): Promise<Lease> => {
      const [taken] = await of.acquire([key]);
      assert.ok(taken, `${key} is free`);
      return taken.lease;
    };
    const readNew = async (of: Partitions, lease: Lease, count = 10) => {
      const [reply] = await of.read([{ lease, count, from: null }]);
      assert.ok(reply);
      return reply;
    };
    const readOwn = async (of: Partitions, lease: Lease) => {
      const [reply] = await of.read([{ lease, count: 100, from: start }]);
      return reply?.deliveries ?? [];
    };
    const settle = (of: Partitions, lease: Lease, settlement: Settlement) => of.settle([{ lease, thing: settlement }]);
    const first = ([delivery]: readonly Delivery[]): Delivery => {
      assert.ok(delivery);
      return delivery;
    };

    it('names the keys that something was published for', async () => {
      const { open, publish } = domain();
      const one = open('one');
      assert.deepEqual(await one.keys(null), { keys: [], next: null });
      await publish('a', '1', '2');
      await publish('b', '1');
      assert.deepEqual([...(await one.keys(null)).keys].sort(), ['a', 'b']);
    });

    it('counts the owners that live', async () => {
      const { open } = domain();
      const [one, two] = [open('one'), open('two')];
      assert.equal(await one.join(), 1);
      assert.equal(await two.join(), 2);
      await two.leave();
      assert.equal(await one.join(), 1);
      await two.join();
      await harness.pass(leaseTtlMs + 50);
      assert.equal(await one.join(), 1);
    });

    it('gives a key to one owner at a time, with a higher generation each time', async () => {
      const { open, publish } = domain();
      await publish('a', '1');
      const [one, two] = [open('one'), open('two')];
      assert.deepEqual(await one.acquire(['a']), [{ lease: { key: 'a', generation: 1 }, pending: false }]);
      assert.deepEqual(await two.acquire(['a']), []);
      assert.deepEqual(await one.acquire(['a']), [{ lease: { key: 'a', generation: 1 }, pending: false }], 'again');
      await one.release([{ key: 'a', generation: 1 }]);
      assert.equal((await take(two, 'a')).generation, 2);
    });

    it('keeps a lease that is renewed, and gives away one that is not', async () => {
      const { open, publish } = domain();
      await publish('a', '1');
      const [one, two] = [open('one'), open('two')];
      const lease = await take(one, 'a');
      for (let beat = 0; beat < 3; beat += 1) {
        await harness.pass(leaseTtlMs * 0.5);
        assert.deepEqual(await one.renew([lease]), []);
      }
      assert.deepEqual(await two.acquire(['a']), []);
      await harness.pass(leaseTtlMs + 50);
      await take(two, 'a');
      assert.deepEqual(await one.renew([lease]), [lease]);
    });

    it('reads a key in the order of publication, its lane behind it, and what is replayed first', async () => {
      const { open, publish, publishTo, category, group } = domain();
      const stream = partitionOf(category, 'a');
      await publishTo(laneOf(stream, 'backfill'), 'a', 'late');
      await publish('a', '1', '2', '3');
      await broker.publish([{ stream: replayOf(stream, group), body: 'again', key: null }]);
      const one = open('one');
      const lease = await take(one, 'a');
      assert.deepEqual(bodies((await readNew(one, lease, 2)).deliveries), ['again']);
      const read = await readNew(one, lease, 2);
      assert.deepEqual([bodies(read.deliveries), read.more], [['1', '2'], [stream]]);
      assert.deepEqual(bodies((await readNew(one, lease, 2)).deliveries), ['3']);
      assert.deepEqual(bodies((await readNew(one, lease, 2)).deliveries), ['late']);
      assert.deepEqual(bodies((await readNew(one, lease, 2)).deliveries), []);
    });

    it('gives every group every entry', async () => {
      const { open, publish, group } = domain();
      await publish('a', '1');
      for (const other of ['one', 'two']) {
        const owner = open('me', `${group}${other}`);
        assert.deepEqual(bodies((await readNew(owner, await take(owner, 'a'))).deliveries), ['1']);
      }
    });

    it('acknowledges, and counts failures, for the owner alone', async () => {
      const { open, publish, view } = domain();
      await publish('a', '1', '2');
      const one = open('one');
      const lease = await take(one, 'a');
      const { deliveries } = await readNew(one, lease);
      const [done, failed] = deliveries;
      assert.ok(done && failed);
      assert.deepEqual(await settle(one, lease, { kind: 'ack', delivery: done }), []);
      assert.deepEqual(await settle(one, lease, { kind: 'retry', delivery: failed, failure }), []);
      const again = first(await one.retake([{ lease, thing: failed }]));
      assert.deepEqual([again.attempt, again.history, again.body], [2, [failure], '2']);
      assert.deepEqual(await one.gone(deliveries.map((thing) => ({ lease, thing }))), [done]);
      assert.equal((await view.states())[0]?.pending, 1);
    });

    it('refuses all of an owner whose lease has gone to another', async () => {
      const { open, publish, category } = domain();
      await publish('a', '1', '2');
      const [stale, fresh] = [open('stale'), open('fresh')];
      const old = await take(stale, 'a');
      const delivery = first((await readNew(stale, old, 1)).deliveries);
      await harness.pass(leaseTtlMs + 50);
      const lease = await take(fresh, 'a');
      const letters = deadLettersOf(delivery.stream);
      const settlements: readonly Settlement[] = [
        { kind: 'ack', delivery },
        { kind: 'retry', delivery, failure },
        { kind: 'dead_letter', delivery, stream: letters, body: '{"stale": 1}' },
        { kind: 'give_back', delivery },
        { kind: 'halt', delivery, failure },
      ];
      for (const each of settlements) assert.deepEqual(await settle(stale, old, each), [delivery], each.kind);
      assert.equal(await broker.length(letters), 0);
      assert.equal((await readNew(stale, old)).owned, false);
      assert.deepEqual(await stale.retake([{ lease: old, thing: delivery }]), []);
      assert.equal(await stale.recordStart({ lease: old, thing: delivery }), false);
      await stale.release([old]);
      assert.deepEqual(await fresh.renew([lease]), []);
      const taken = first(await readOwn(fresh, lease));
      assert.deepEqual([taken.body, taken.attempt, taken.suspect], ['1', 1, true], category);
      assert.deepEqual(
        await settle(fresh, lease, { kind: 'dead_letter', delivery: taken, stream: letters, body: '{}' }),
        [],
      );
      await settle(fresh, lease, { kind: 'dead_letter', delivery: taken, stream: letters, body: '{}' });
      assert.equal(await broker.length(letters), 1, 'once, however often it is asked for');
      assert.deepEqual(bodies((await readNew(fresh, lease)).deliveries), ['2']);
    });

    it('hands over what is pending as if never delivered, unless its owner died', async () => {
      const { open, publish } = domain();
      await publish('a', '1', '2');
      const [one, two, three] = [open('one'), open('two'), open('three')];
      const lease = await take(one, 'a');
      const [given] = (await readNew(one, lease)).deliveries;
      assert.ok(given);
      await settle(one, lease, { kind: 'give_back', delivery: given });
      await one.release([lease]);
      const [taken] = await two.acquire(['a']);
      assert.ok(taken?.pending);
      const found = await readOwn(two, taken.lease);
      assert.deepEqual(
        found.map(({ body, suspect, redelivered, attempt }) => [body, suspect, redelivered, attempt]),
        ['1', '2'].map((body) => [body, false, true, 1]),
      );
      await two.recordStart({ lease: taken.lease, thing: first(found) });
      await harness.pass(leaseTtlMs + 50);
      const inherited = await readOwn(three, await take(three, 'a'));
      assert.deepEqual(
        inherited.map(({ body, suspect, crashes }) => [body, suspect, crashes]),
        [
          ['1', true, 1],
          ['2', true, 0],
        ],
      );
    });

    it('remembers what a key stands still behind until somebody lets it go on, once', async () => {
      const { open, publish, view } = domain();
      await publish('a', '{"n":1}', '{"n":2}');
      await publish('b', '{"n":3}');
      const one = open('one');
      const lease = await take(one, 'a');
      const delivery = first((await readNew(one, lease, 1)).deliveries);
      assert.equal(await view.blocking('a'), null);
      await settle(one, lease, { kind: 'retry', delivery, failure });
      await settle(one, lease, { kind: 'halt', delivery, failure });
      const blocking = await view.blocking('a');
      assert.deepEqual(blocking?.blocked, {
        stream: delivery.stream,
        entryId: delivery.id,
        since: failure.time,
        errorType: 'Error',
        errorMessage: 'no stock',
      });
      assert.deepEqual([blocking.delivery.body, blocking.delivery.history], ['{"n":1}', [failure]]);
      const states = new Map((await view.states()).map((each) => [each.key, each]));
      assert.deepEqual([states.get('a')?.owner, states.get('a')?.generation], ['one', 1]);
      assert.deepEqual([states.get('a')?.lag, states.get('a')?.pending, states.get('b')?.lag], [1, 1, 1]);
      assert.equal(states.get('b')?.blocked, null);
      const letters = deadLettersOf(delivery.stream);
      assert.equal(await view.unblock('a', blocking.blocked, { stream: letters, body: '{}' }), true);
      assert.equal(await view.unblock('a', blocking.blocked, { stream: letters, body: '{}' }), false);
      assert.equal(await broker.length(letters), 1);
      assert.deepEqual(await view.deadLetters(), [{ stream: letters, count: 1 }]);
      assert.equal(await view.blocking('a'), null);
      assert.deepEqual(await one.gone([{ lease, thing: delivery }]), [delivery]);
      assert.deepEqual(bodies((await readNew(one, lease, 1)).deliveries), ['{"n":2}']);
    });

    it('forgets what a key stood still behind when its owner settles it after all', async () => {
      const { open, publish, view } = domain();
      await publish('a', '1');
      const one = open('one');
      const lease = await take(one, 'a');
      const delivery = first((await readNew(one, lease)).deliveries);
      await settle(one, lease, { kind: 'halt', delivery, failure });
      await settle(one, lease, { kind: 'ack', delivery });
      assert.equal(await view.blocking('a'), null);
    });

    it('tells those who listen of what is new and of what is given back', async () => {
      const { open, publish } = domain();
      const [one, two] = [open('one'), open('two')];
      await two.hear(1, AbortSignal.abort());
      const listening = two.hear(5_000, never);
      await publish('a', '1');
      assert.deepEqual(await listening, [{ key: 'a', freed: false }]);
      const lease = await take(one, 'a');
      const waiting = two.hear(5_000, never);
      await one.release([lease]);
      assert.deepEqual(await waiting, [{ key: 'a', freed: true }]);
      const stop = new AbortController();
      const idle = two.hear(60_000, stop.signal);
      stop.abort();
      assert.deepEqual(await idle, []);
    });

    it('removes a key that has been idle for long and that no group needs, and nothing else', async () => {
      const { open, publish, category, group } = domain();
      const idleMs = 60;
      const one = open('one');
      const lease = await take(one, 'a');
      await publish('a', '1');
      const delivery = first((await readNew(one, lease)).deliveries);
      const reap = (groups: readonly string[]) => one.reap([lease], idleMs, groups);
      await harness.pass(idleMs + 20);
      assert.deepEqual(await reap([group]), [], 'something is pending');
      await settle(one, lease, { kind: 'ack', delivery });
      assert.deepEqual(await reap([group, 'other']), [], 'another group has yet to begin');
      await publish('a', '2');
      assert.deepEqual(await reap([group]), [], 'something is unread, and new');
      await settle(one, lease, { kind: 'ack', delivery: first((await readNew(one, lease)).deliveries) });
      const letters = deadLettersOf(partitionOf(category, 'a'));
      assert.deepEqual(await reap([group]), [], 'something was published a moment ago');
      await harness.pass(idleMs + 20);
      await one.renew([lease]);
      assert.deepEqual(await reap([group]), [lease]);
      assert.deepEqual((await one.keys(null)).keys, []);
      assert.equal(await broker.length(partitionOf(category, 'a')), 0);
      assert.equal(await broker.length(letters), 0);
      await publish('a', '3');
      assert.deepEqual((await one.keys(null)).keys, ['a']);
      assert.deepEqual(bodies((await readNew(one, await take(one, 'a'))).deliveries), ['3']);
    });

    it('trims what every group is done with', async () => {
      const { open, publish, category } = domain();
      await publish('a', ...Array.from({ length: 500 }, (_, n) => `${n}`));
      const one = open('one');
      const lease = await take(one, 'a');
      const { deliveries } = await readNew(one, lease, 500);
      assert.equal(await one.trim(['a'], 10), 0);
      await one.settle(deliveries.map((delivery) => ({ lease, thing: { kind: 'ack', delivery } })));
      assert.ok((await one.trim(['a'], 10)) > 0);
      assert.ok((await broker.length(partitionOf(category, 'a'))) < 500);
    });
  });
}
