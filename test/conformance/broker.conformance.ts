import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type {
  AttemptRecord,
  Broker,
  Capabilities,
  ConsumeOptions,
  Consumer,
  Delivery,
  ReadRequest,
} from '../../src/broker/broker.ts';
import { deadLettersOf } from '../../src/message/stream-name.ts';

/** A broker to be tried, and what the trial needs besides its port. */
export interface BrokerHarness {
  readonly broker: Broker;
  /** Makes the pending entries of a group look as if nobody had touched them for so long. */
  age(stream: string, group: string, ms: number): Promise<void>;
  /** Lets so much time pass on the broker's clock. */
  pass(ms: number): Promise<void>;
  /** Appends an entry with fields of its own. Asked only of a trial with `foreignEntries`. */
  append(stream: string, fields: readonly (string | Buffer)[]): Promise<void>;
  end(): Promise<void>;
}

export interface BrokerTrial {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Whether others can append entries in their own way. */
  readonly foreignEntries: boolean;
  readonly start: () => Promise<BrokerHarness>;
}

let names = 0;
const fresh = (kind: string): string => `conformance::${kind}${process.pid}x${names++}`;

const idleMs = 60_000;
const never = new AbortController().signal;
const now: ReadRequest = { count: 100, blockMs: 0, acks: [], signal: never };
const bodies = (deliveries: readonly Delivery[]) => deliveries.map(({ body }) => body);
const ids = (deliveries: readonly Delivery[]) => deliveries.map(({ id }) => id);
const failure = (consumer: Consumer, n: number): AttemptRecord => ({
  time: `2026-11-23T14:34:4${n}.000000+00:00`,
  consumer: consumer.name,
  error_type: 'Error',
  error_message: `failure ${n}`,
});

/** What every broker promises, each part asked only of those whose capabilities claim it. */
export function describeBroker({ name, capabilities, foreignEntries, start }: BrokerTrial): void {
  describe(`${name} broker`, () => {
    let harness: BrokerHarness;
    let broker: Broker;
    before(async () => {
      harness = await start();
      broker = harness.broker;
    });
    after(() => harness.end());

    const publish = (stream: string, ...texts: readonly string[]) =>
      broker.publish(texts.map((body) => ({ stream, body, key: null })));
    const join = (streams: string | ConsumeOptions['streams'], group = 'group', consumer = fresh('consumer')) =>
      broker.consume({ streams: typeof streams === 'string' ? [streams] : streams, group, consumer });
    const first = (deliveries: readonly Delivery[]): Delivery => {
      const [delivery] = deliveries;
      assert.ok(delivery);
      return delivery;
    };

    it('claims the capabilities it is tried for', () => assert.deepEqual(broker.capabilities, capabilities));

    it('answers a ping', () => broker.ping());

    it('delivers entries in the order of publication, each under the id it was confirmed with', async () => {
      const stream = fresh('order');
      const texts = Array.from({ length: 1_200 }, (_, index) => `{"n": ${index}}`);
      const results = await publish(stream, ...texts);
      const consumer = await join(stream);
      const deliveries: Delivery[] = [];
      for (let read = 0; read < 3; read += 1) deliveries.push(...(await consumer.read({ ...now, count: 500 })));
      assert.deepEqual(bodies(deliveries), texts);
      assert.deepEqual(
        ids(deliveries),
        results.map((result) => (result.kind === 'confirmed' ? result.id : result.kind)),
      );
    });

    it('hands over the text as it was published', async () => {
      const stream = fresh('text');
      const text = '{"data": {"ü": "\u2028 \\u0000 😀 \uFFFD", "n": 1.0}, "metadata": null}';
      await publish(stream, text);
      const delivery = first(await (await join(stream)).read(now));
      assert.equal(delivery.body, text);
      assert.equal(delivery.raw, null);
      assert.equal(delivery.bare, false);
      assert.equal(delivery.stream, stream);
    });

    it('delivers for the first time as attempt 1, with nothing known against the entry', async () => {
      const stream = fresh('first');
      await publish(stream, '{}');
      const { attempt, history, redelivered, suspect, crashes } = first(await (await join(stream)).read(now));
      assert.deepEqual(
        { attempt, history, redelivered, suspect, crashes },
        { attempt: 1, history: [], redelivered: false, suspect: false, crashes: 0 },
      );
    });

    it('publishes nothing for an empty batch', async () => assert.deepEqual(await broker.publish([]), []));

    it('publishes to several streams in one batch', async () => {
      const [one, two] = [fresh('a'), fresh('b')];
      const entries = [one, two, one].map((stream, index) => ({ stream, body: `${index}`, key: stream }));
      const results = await broker.publish(entries);
      assert.deepEqual(new Set(results.map(({ kind }) => kind)), new Set(['confirmed']));
      assert.deepEqual(bodies(await (await join(one)).read(now)), ['0', '2']);
      assert.deepEqual(bodies(await (await join(two)).read(now)), ['1']);
    });

    it('reads no more than it is asked for, over all streams', async () => {
      const streams = [fresh('a'), fresh('b'), fresh('c')];
      for (const stream of streams) await publish(stream, '1', '2');
      const consumer = await join(streams);
      assert.equal((await consumer.read({ ...now, count: 3 })).length, 3);
      assert.equal((await consumer.read({ ...now, count: 5 })).length, 3);
      assert.equal((await consumer.read(now)).length, 0);
    });

    it('reads a later lane only where the earlier ones have none', async () => {
      const [urgent, backfill] = [fresh('urgent'), fresh('backfill')];
      const consumer = await join([[urgent, backfill]]);
      await publish(backfill, 'b1', 'b2');
      await publish(urgent, 'u1', 'u2', 'u3');
      assert.deepEqual(bodies(await consumer.read({ ...now, count: 2 })), ['u1', 'u2']);
      assert.equal(bodies(await consumer.read({ ...now, count: 1 }))[0], 'u3');
      await publish(urgent, 'u4');
      assert.deepEqual(bodies(await consumer.read({ ...now, count: 1 })), ['u4']);
      assert.deepEqual(bodies(await consumer.read(now)), ['b1', 'b2']);
    });

    it('shares a read out among streams that take turns, each with its lanes', async () => {
      const [one, backfill, two] = [fresh('one'), fresh('backfill'), fresh('two')];
      const consumer = await join([[one, backfill], two]);
      const many = (letter: string) => Array.from({ length: 20 }, (_, index) => `${letter}${index}`);
      await publish(one, ...many('a'));
      await publish(backfill, 'late');
      await publish(two, ...many('b'));
      for (let round = 0; round < 5; round += 1) {
        const read = bodies(await consumer.read({ ...now, count: 4 }));
        assert.deepEqual(
          read.filter((body) => body.startsWith('a')),
          many('a').slice(2 * round, 2 * round + 2),
        );
        assert.deepEqual(
          read.filter((body) => body.startsWith('b')),
          many('b').slice(2 * round, 2 * round + 2),
        );
      }
      assert.equal(bodies(await consumer.read({ ...now, count: 19 })).includes('late'), false);
      const rest = bodies(await consumer.read(now));
      assert.deepEqual([rest.length, rest.includes('late')], [2, true]);
    });

    it('gives every stream its turn although it is asked for one entry at a time', async () => {
      const [one, two] = [fresh('one'), fresh('two')];
      const consumer = await join([one, two]);
      await publish(one, 'a1', 'a2', 'a3');
      await publish(two, 'b1', 'b2', 'b3');
      const read: string[] = [];
      for (let turn = 0; turn < 4; turn += 1) read.push(...bodies(await consumer.read({ ...now, count: 1 })));
      assert.deepEqual(read, ['a1', 'b1', 'a2', 'b2']);
    });

    for (const lanes of [false, true]) {
      it(`does not let an idle ${lanes ? 'lane' : 'stream'} delay a later one`, async () => {
        const [idle, busy] = [fresh('idle'), fresh('busy')];
        const consumer = await join(lanes ? [[idle, busy]] : [idle, busy]);
        for (const text of ['here', 'again']) {
          const waiting = consumer.read({ ...now, blockMs: 30_000 });
          const startedAt = performance.now();
          await publish(busy, text);
          assert.deepEqual(bodies(await waiting), [text]);
          assert.ok(performance.now() - startedAt < 5_000);
        }
      });
    }

    it('gives every group every entry, from the beginning of the stream', async () => {
      const stream = fresh('groups');
      await publish(stream, '1', '2');
      assert.deepEqual(bodies(await (await join(stream, 'one')).read(now)), ['1', '2']);
      assert.deepEqual(bodies(await (await join(stream, 'two')).read(now)), ['1', '2']);
    });

    it('goes on where the group was, whoever joins it again', async () => {
      const stream = fresh('rejoin');
      await publish(stream, '1');
      const one = await join(stream);
      await one.settle((await one.read(now)).map((delivery) => ({ kind: 'ack', delivery })));
      await publish(stream, '2');
      assert.deepEqual(bodies(await (await join(stream)).read(now)), ['2']);
    });

    it('gives each entry to one consumer of a group', async () => {
      const stream = fresh('competing');
      await publish(stream, ...Array.from({ length: 40 }, (_, index) => `${index}`));
      const consumers = await Promise.all([join(stream), join(stream), join(stream)]);
      const shares: Delivery[] = [];
      for (let round = 0; round < 3; round += 1) {
        for (const share of await Promise.all(consumers.map((each) => each.read({ ...now, count: 5 })))) {
          shares.push(...share);
        }
      }
      assert.equal(new Set(ids(shares)).size, 40);
      assert.equal(shares.length, 40);
    });

    it('waits for the first entry', async () => {
      const stream = fresh('waits');
      const consumer = await join(stream);
      const waiting = consumer.read({ ...now, blockMs: 30_000 });
      await publish(stream, 'late');
      assert.deepEqual(bodies(await waiting), ['late']);
    });

    it('returns early and empty when it is told to stop', async () => {
      const consumer = await join(fresh('abort'));
      const stop = new AbortController();
      const waiting = consumer.read({ ...now, blockMs: 30_000, signal: stop.signal });
      stop.abort();
      assert.deepEqual(await waiting, []);
      assert.deepEqual(await consumer.read({ ...now, blockMs: 30_000, signal: stop.signal }), []);
    });

    it('counts the entries of a stream, and none where there is no stream', async () => {
      const stream = fresh('length');
      assert.equal(await broker.length(stream), 0);
      await publish(stream, '1', '2', '3');
      assert.equal(await broker.length(stream), 3);
    });

    if (capabilities.deadLetters) {
      it('deletes what has become old, and nothing younger', async () => {
        const stream = fresh('old');
        await publish(stream, ...Array.from({ length: 250 }, (_, index) => String(index)));
        const [last] = await publish(stream, 'last');
        assert.equal(last?.kind, 'confirmed');
        assert.equal(await broker.expire(stream, 60_000, 1_000), 0);
        await harness.pass(1_000);
        await publish(stream, 'young');
        let removed = 0;
        for (let more = 1; more > 0; removed += more) more = await broker.expire(stream, 500, 1_000);
        assert.deepEqual([removed, await broker.length(stream)], [251, 1]);
        assert.equal(await broker.expire(fresh('none'), 0, 1_000), 0);
      });
    }

    it('says how far behind a group is', async () => {
      const stream = fresh('lag');
      assert.deepEqual(await broker.inspect(stream, 'group'), { lag: 0, lagMs: 0, pending: 0, oldestPendingMs: null });
      await publish(stream, '1', '2', '3');
      assert.equal((await broker.inspect(stream, 'group')).lag, 3);
      const consumer = await join(stream);
      await consumer.read({ ...now, count: 2 });
      const behind = await broker.inspect(stream, 'group');
      assert.equal(behind.lag, 1);
      assert.ok(behind.lagMs === null || behind.lagMs >= 0);
      await consumer.read(now);
      const { lag, lagMs } = await broker.inspect(stream, 'group');
      assert.deepEqual({ lag, lagMs }, { lag: 0, lagMs: 0 });
    });

    if (!capabilities.redelivery) {
      it('delivers at most once: what was read is gone, acknowledged or not', async () => {
        const stream = fresh('once');
        await publish(stream, '1');
        const consumer = await join(stream);
        const deliveries = await consumer.read(now);
        assert.deepEqual(await consumer.settle(deliveries.map((delivery) => ({ kind: 'give_back', delivery }))), []);
        assert.deepEqual(await consumer.heartbeat(deliveries), []);
        assert.deepEqual(await consumer.reclaim(10, 0), { deliveries: [], lost: [] });
        assert.equal(await consumer.trim(0), 0);
        assert.deepEqual(await consumer.read(now), []);
        await consumer.leave();
        await consumer.close();
      });
      return;
    }

    it('counts what was delivered and not acknowledged as pending', async () => {
      const stream = fresh('pending');
      await publish(stream, '1', '2');
      const consumer = await join(stream);
      const deliveries = await consumer.read(now);
      const { pending, oldestPendingMs } = await broker.inspect(stream, 'group');
      assert.equal(pending, 2);
      assert.equal(typeof oldestPendingMs, 'number');
      assert.deepEqual(await consumer.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery }))), []);
      assert.equal((await broker.inspect(stream, 'group')).pending, 0);
    });

    it('acknowledges in the round trip of the next read', async () => {
      const stream = fresh('acks');
      await publish(stream, '1', '2');
      const consumer = await join(stream);
      const acks = await consumer.read({ ...now, count: 1 });
      assert.deepEqual(bodies(await consumer.read({ ...now, count: 1, acks })), ['2']);
      assert.equal((await broker.inspect(stream, 'group')).pending, 1);
    });

    it('acknowledges even when it is told to stop', async () => {
      const stream = fresh('last-acks');
      await publish(stream, '1');
      const consumer = await join(stream);
      const acks = await consumer.read(now);
      assert.deepEqual(await consumer.read({ ...now, acks, signal: AbortSignal.abort() }), []);
      assert.equal((await broker.inspect(stream, 'group')).pending, 0);
    });

    it('loses nothing to a read that is stopped while entries arrive', async () => {
      const stream = fresh('abort-race');
      const consumer = await join(stream);
      const other = await join(stream);
      const seen: string[] = [];
      for (let round = 0; round < 25; round += 1) {
        const stop = new AbortController();
        const waiting = consumer.read({ ...now, blockMs: 30_000, signal: stop.signal });
        const publishing = publish(stream, `${round}`);
        if (round % 2 === 0) await publishing;
        stop.abort();
        seen.push(...bodies(await waiting));
        await publishing;
      }
      seen.push(...bodies(await consumer.read(now)));
      const given = await other.reclaim(100, idleMs);
      assert.ok(given.deliveries.every(({ attempt, suspect }) => attempt === 1 && !suspect));
      seen.push(...bodies(given.deliveries));
      assert.deepEqual(
        seen.map(Number).sort((a, b) => a - b),
        Array.from({ length: 25 }, (_, index) => index),
      );
    });

    it('brings a retried entry back with its next attempt and its whole history', async () => {
      const stream = fresh('retry');
      await publish(stream, 'again');
      const consumer = await join(stream);
      let delivery = first(await consumer.read(now));
      const history: AttemptRecord[] = [];
      for (const n of [1, 2, 3]) {
        history.push(failure(consumer, n));
        assert.deepEqual(await consumer.settle([{ kind: 'retry', delivery, failure: failure(consumer, n) }]), []);
        delivery = first(await consumer.retake([delivery]));
        assert.equal(delivery.attempt, n + 1);
        assert.deepEqual(delivery.history, history);
        assert.equal(delivery.body, 'again');
        assert.equal(delivery.redelivered, true);
        assert.equal(delivery.suspect, false);
      }
      assert.deepEqual(await consumer.read(now), []);
    });

    it('counts an attempt once, also when it is told twice', async () => {
      const stream = fresh('retry-twice');
      await publish(stream, 'x');
      const consumer = await join(stream);
      const delivery = first(await consumer.read(now));
      const settlement = { kind: 'retry', delivery, failure: failure(consumer, 1) } as const;
      await consumer.settle([settlement]);
      await consumer.settle([settlement]);
      assert.equal(first(await consumer.retake([delivery])).attempt, 2);
    });

    it('keeps attempts and history for whoever takes the entry over', async () => {
      const stream = fresh('history');
      await publish(stream, 'x');
      const dead = await join(stream);
      const delivery = first(await dead.read(now));
      await dead.settle([{ kind: 'retry', delivery, failure: failure(dead, 1) }]);
      await harness.age(stream, 'group', idleMs);
      const heir = await join(stream);
      const { deliveries } = await heir.reclaim(10, idleMs);
      const taken = first(deliveries);
      assert.equal(taken.attempt, 2);
      assert.deepEqual(taken.history, [failure(dead, 1)]);
      assert.equal(taken.redelivered, true);
    });

    it('forgets the attempts of what was acknowledged', async () => {
      const stream = fresh('forget');
      await publish(stream, 'x');
      const consumer = await join(stream);
      const delivery = first(await consumer.read(now));
      await consumer.settle([{ kind: 'retry', delivery, failure: failure(consumer, 1) }]);
      const again = await consumer.retake([delivery]);
      await consumer.read({ ...now, acks: again });
      assert.deepEqual(await consumer.retake([delivery]), []);
    });

    it('takes over what nobody has touched for long enough, and nothing younger', async () => {
      const stream = fresh('reclaim');
      await publish(stream, 'old', 'old too');
      const dead = await join(stream);
      await dead.read(now);
      const heir = await join(stream);
      assert.deepEqual(await heir.reclaim(10, idleMs), { deliveries: [], lost: [] });
      await harness.age(stream, 'group', idleMs);
      await publish(stream, 'young');
      await dead.read(now);
      const { deliveries, lost } = await heir.reclaim(10, idleMs);
      assert.deepEqual(bodies(deliveries), ['old', 'old too']);
      assert.deepEqual(lost, []);
      assert.ok(deliveries.every(({ suspect, redelivered }) => suspect && redelivered));
      assert.deepEqual((await heir.reclaim(10, idleMs)).deliveries, []);
    });

    it('takes over no more than it is asked for, and the rest next time', async () => {
      const stream = fresh('reclaim-some');
      const texts = Array.from({ length: 30 }, (_, index) => `${index}`);
      await publish(stream, ...texts);
      await (await join(stream)).read(now);
      await harness.age(stream, 'group', idleMs);
      const heir = await join(stream);
      const taken: string[] = [];
      for (let sweep = 0; sweep < 3; sweep += 1) {
        const { deliveries } = await heir.reclaim(12, idleMs);
        assert.ok(deliveries.length <= 12);
        taken.push(...bodies(deliveries));
      }
      assert.deepEqual(new Set(taken), new Set(texts));
    });

    it('never takes over what is in its own hand', async () => {
      const stream = fresh('own');
      await publish(stream, 'mine');
      const consumer = await join(stream);
      await consumer.read(now);
      await harness.age(stream, 'group', idleMs);
      assert.deepEqual((await consumer.reclaim(10, idleMs)).deliveries, []);
    });

    it('protects by heartbeats what is still being worked on', async () => {
      const stream = fresh('heartbeat');
      await publish(stream, 'slow');
      const slow = await join(stream);
      const held = await slow.read(now);
      await harness.age(stream, 'group', idleMs);
      assert.deepEqual(await slow.heartbeat(held), []);
      assert.deepEqual((await (await join(stream)).reclaim(10, idleMs)).deliveries, []);
    });

    it('says by heartbeat, settlement and retake what another consumer owns by now, and leaves it alone', async () => {
      const stream = fresh('disowned');
      await publish(stream, 'contested', 'lost too', 'third');
      const paused = await join(stream);
      const held = await paused.read(now);
      const [one, two, three] = held;
      assert.ok(one && two && three);
      await harness.age(stream, 'group', idleMs);
      const heir = await join(stream);
      const taken = (await heir.reclaim(10, idleMs)).deliveries;
      assert.equal(taken.length, 3);
      assert.deepEqual(ids(await paused.heartbeat(held)), ids(held));
      assert.deepEqual(ids(await paused.settle([{ kind: 'retry', delivery: one, failure: failure(paused, 1) }])), [
        one.id,
      ]);
      assert.deepEqual(ids(await paused.settle([{ kind: 'give_back', delivery: two }])), [two.id]);
      assert.deepEqual(await paused.retake([three]), []);
      const again = await heir.retake(taken);
      assert.deepEqual(ids(again), ids(held));
      assert.ok(again.every(({ attempt }) => attempt === 1));
    });

    it('acknowledges what was done, whoever owns it by now', async () => {
      const stream = fresh('done');
      await publish(stream, 'done');
      const paused = await join(stream);
      const [delivery] = await paused.read(now);
      assert.ok(delivery);
      await harness.age(stream, 'group', idleMs);
      await (await join(stream)).reclaim(10, idleMs);
      await paused.settle([{ kind: 'ack', delivery }]);
      assert.equal((await broker.inspect(stream, 'group')).pending, 0);
    });

    it('gives back at once, as if never delivered', async () => {
      const stream = fresh('give-back');
      await publish(stream, '1', '2');
      const leaving = await join(stream);
      const [one, two] = await leaving.read(now);
      assert.ok(one && two);
      const back = [
        { kind: 'give_back', delivery: one },
        { kind: 'give_back', delivery: two },
      ] as const;
      assert.deepEqual(await leaving.settle(back), []);
      assert.deepEqual(await leaving.settle(back), []);
      const { deliveries } = await (await join(stream)).reclaim(10, idleMs);
      assert.deepEqual(bodies(deliveries), ['1', '2']);
      assert.ok(deliveries.every(({ attempt, suspect, crashes }) => attempt === 1 && !suspect && crashes === 0));
    });

    it('hands on what was given back when it is asked for that alone', async () => {
      const stream = fresh('hand-on');
      await publish(stream, 'now', 'later', 'kept');
      const leaving = await join(stream);
      const [one, two] = await leaving.read(now);
      assert.ok(one && two);
      const failed = await join(stream);
      assert.deepEqual(await failed.takeGivenBack(10, idleMs), []);
      await leaving.settle([
        { kind: 'give_back', delivery: one },
        { kind: 'give_back', delivery: two, idleMs: idleMs - 40_000 },
      ]);
      const taken = await (await join(stream)).takeGivenBack(10, idleMs);
      assert.deepEqual(
        taken.map(({ body, attempt, suspect, crashes }) => [body, attempt, suspect, crashes]),
        [['now', 1, false, 0]],
      );
      const heir = await join(stream);
      assert.deepEqual(await heir.takeGivenBack(10, idleMs), []);
      assert.deepEqual((await heir.reclaim(10, idleMs)).deliveries, []);
      assert.deepEqual(bodies(await heir.takeGivenBack(10, idleMs - 40_000)), ['later']);
    });

    it('counts the starts that had no outcome', async () => {
      const stream = fresh('crashes');
      await publish(stream, 'deadly');
      await (await join(stream)).read(now);
      for (const crashes of [0, 1, 2]) {
        await harness.age(stream, 'group', idleMs);
        const victim = await join(stream);
        const delivery = first((await victim.reclaim(10, idleMs)).deliveries);
        assert.equal(delivery.suspect, true);
        assert.equal(delivery.crashes, crashes);
        assert.equal(delivery.attempt, 1);
        await victim.recordStart(delivery);
      }
    });

    it('counts no start that had an outcome, or that was given back', async () => {
      const stream = fresh('no-crash');
      await publish(stream, 'x');
      await (await join(stream)).read(now);
      await harness.age(stream, 'group', idleMs);
      const consumer = await join(stream);
      const delivery = first((await consumer.reclaim(10, idleMs)).deliveries);
      await consumer.recordStart(delivery);
      await consumer.settle([{ kind: 'retry', delivery, failure: failure(consumer, 1) }]);
      const again = first(await consumer.retake([delivery]));
      assert.equal(again.crashes, 0);
      await consumer.recordStart(again);
      await consumer.settle([{ kind: 'give_back', delivery: again }]);
      const { crashes, suspect, attempt } = first((await (await join(stream)).reclaim(10, idleMs)).deliveries);
      assert.deepEqual({ crashes, suspect, attempt }, { crashes: 0, suspect: false, attempt: 2 });
    });

    it('finds what a consumer of the same name left behind, as suspect', async () => {
      const stream = fresh('namesake');
      await publish(stream, '1');
      const name = fresh('consumer');
      await (await join(stream, 'group', name)).read(now);
      await publish(stream, '2');
      const heir = await join(stream, 'group', name);
      const left = first(await heir.read(now));
      assert.deepEqual(
        { body: left.body, suspect: left.suspect, attempt: left.attempt },
        { body: '1', suspect: true, attempt: 1 },
      );
      assert.deepEqual(bodies(await heir.read(now)), ['2']);
    });

    it('trims what every group has finished, and nothing else', async () => {
      const stream = fresh('trim');
      const texts = Array.from({ length: 1_000 }, (_, index) => `${index} ${'x'.repeat(100)}`);
      await publish(stream, ...texts);
      const [slow, fast] = [await join(stream, 'slow'), await join(stream, 'fast')];
      assert.equal(await fast.trim(10), 0);
      const acked = await fast.read({ ...now, count: 900 });
      await fast.settle(acked.slice(100).map((delivery) => ({ kind: 'ack', delivery })));
      assert.equal(await fast.trim(10), 0);
      await slow.settle((await slow.read({ ...now, count: 500 })).map((delivery) => ({ kind: 'ack', delivery })));
      assert.ok((await fast.trim(10)) <= 100);
      assert.ok((await broker.length(stream)) >= 900);
      await fast.settle(acked.slice(0, 100).map((delivery) => ({ kind: 'ack', delivery })));
      const removed = await fast.trim(10);
      assert.ok(removed > 200 && (await broker.length(stream)) >= 500);
      assert.deepEqual(bodies(await slow.read({ ...now, count: 1_000 })), texts.slice(500));
      assert.deepEqual(bodies(await fast.read({ ...now, count: 1_000 })), texts.slice(900));
      assert.ok((await fast.trim(990)) === 0);
    });

    it('keeps as many entries as it is asked to', async () => {
      const stream = fresh('trim-keep');
      await publish(stream, ...Array.from({ length: 1_000 }, (_, index) => `${index} ${'x'.repeat(100)}`));
      const consumer = await join(stream);
      await consumer.settle(
        (await consumer.read({ ...now, count: 1_000 })).map((delivery) => ({ kind: 'ack', delivery })),
      );
      await consumer.trim(400);
      const left = await broker.length(stream);
      assert.ok(left >= 400 && left < 550, `${left} left`);
      assert.equal(await consumer.trim(1_000), 0);
    });

    it('loses nothing when a consumer leaves with entries in hand', async () => {
      const stream = fresh('leave');
      await publish(stream, '1', '2');
      const leaving = await join(stream);
      const [one] = await leaving.read(now);
      assert.ok(one);
      await leaving.settle([{ kind: 'give_back', delivery: one }]);
      await leaving.leave();
      await leaving.close();
      await harness.age(stream, 'group', idleMs);
      assert.deepEqual(bodies((await (await join(stream)).reclaim(10, idleMs)).deliveries).sort(), ['1', '2']);
    });

    if (capabilities.deadLetters) {
      it('moves a dead letter once and acknowledges it', async () => {
        const stream = fresh('dead');
        await publish(stream, 'bad');
        const consumer = await join(stream);
        const delivery = first(await consumer.read(now));
        const letter = { kind: 'dead_letter', delivery, stream: deadLettersOf(stream), body: '{"dead":true}' } as const;
        assert.deepEqual(await consumer.settle([letter]), []);
        assert.deepEqual(await consumer.settle([letter]), []);
        assert.equal(await broker.length(deadLettersOf(stream)), 1);
        assert.equal((await broker.inspect(stream, 'group')).pending, 0);
        const read = first(await (await join(deadLettersOf(stream), 'undertaker')).read(now));
        assert.equal(read.body, '{"dead":true}');
      });

      it('moves no dead letter that another consumer owns by now', async () => {
        const stream = fresh('dead-disowned');
        await publish(stream, 'bad');
        const paused = await join(stream);
        const delivery = first(await paused.read(now));
        await harness.age(stream, 'group', idleMs);
        await (await join(stream)).reclaim(10, idleMs);
        const letter = { kind: 'dead_letter', delivery, stream: deadLettersOf(stream), body: '{}' } as const;
        assert.deepEqual(ids(await paused.settle([letter])), [delivery.id]);
        assert.equal(await broker.length(deadLettersOf(stream)), 0);
        assert.equal((await broker.inspect(stream, 'group')).pending, 1);
      });

      it('makes many settlements of all kinds in one call', async () => {
        const stream = fresh('mixed');
        await publish(stream, 'done', 'fails', 'dead', 'not begun');
        const consumer = await join(stream);
        const [done, fails, dead, notBegun] = await consumer.read(now);
        assert.ok(done && fails && dead && notBegun);
        const disowned = await consumer.settle([
          { kind: 'give_back', delivery: notBegun },
          { kind: 'dead_letter', delivery: dead, stream: deadLettersOf(stream), body: '{}' },
          { kind: 'retry', delivery: fails, failure: failure(consumer, 1) },
          { kind: 'ack', delivery: done },
        ]);
        assert.deepEqual(disowned, []);
        assert.equal((await broker.inspect(stream, 'group')).pending, 2);
        assert.equal(first(await consumer.retake([fails])).attempt, 2);
        assert.deepEqual(bodies((await (await join(stream)).reclaim(10, idleMs)).deliveries), ['not begun']);
      });
    }

    if (!foreignEntries) return;

    describe('entries of others', () => {
      it('come as an object of their fields when they have no data', async () => {
        const stream = fresh('bare');
        await harness.append(stream, ['order_id', '42', '__proto__', 'x', 'note', 'ü']);
        const delivery = first(await (await join(stream)).read(now));
        assert.equal(delivery.bare, true);
        assert.equal(delivery.body, '{"order_id":"42","__proto__":"x","note":"ü"}');
        assert.equal(delivery.raw, null);
      });

      it('come as their field data when they have more fields', async () => {
        const stream = fresh('more');
        await harness.append(stream, ['trace', 'x', 'data', '{"a":1}']);
        const delivery = first(await (await join(stream)).read(now));
        assert.deepEqual({ body: delivery.body, bare: delivery.bare }, { body: '{"a":1}', bare: false });
      });

      it('keep their bytes when these are not UTF-8', async () => {
        const stream = fresh('bytes');
        const data = Buffer.from([0x7b, 0xff, 0xfe, 0x7d]);
        await harness.append(stream, ['data', data]);
        await harness.append(stream, ['field', data]);
        const consumer = await join(stream);
        const [delivery, bare] = await consumer.read(now);
        assert.ok(delivery && bare);
        assert.deepEqual(delivery.raw, Uint8Array.from(data));
        assert.deepEqual(bare.raw, Uint8Array.from([...Buffer.from('field\0'), ...data, 0]));
        await consumer.settle([{ kind: 'retry', delivery, failure: failure(consumer, 1) }]);
        assert.deepEqual(first(await consumer.retake([delivery])).raw, Uint8Array.from(data));
      });
    });
  });
}
