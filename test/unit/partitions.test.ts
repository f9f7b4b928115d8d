import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Broker } from '../../src/broker/broker.ts';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import type { SubscriptionConfig } from '../../src/config/config.ts';
import type { Outcome } from '../../src/handler/invoke.ts';
import { deadLettersOf, partitionOf, partitionsOf } from '../../src/message/stream-name.ts';
import { DecodeError, UnavailableError } from '../../src/runtime/errors.ts';
import type { ManualClock } from '../../src/runtime/manual-clock.ts';
import { composeDeadLetter } from '../../src/subscription/dead-letter.ts';
import { createPartitionSubscription } from '../../src/subscription/partition-subscription.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { partitionSettings } from '../support/partition-settings.ts';

const category = 'shop::order';
const index = partitionsOf(category);
const leaseTtlMs = 3_000;
const partitioning = { leaseTtlMs, heartbeatEveryMs: 1_000, pollEveryMs: 100, reapIdleMs: 60_000 };
const settings = partitionSettings();

const done: Outcome = { kind: 'done', effect: 'ok', value: null };
const failed: Outcome = { kind: 'failed', error: new Error('no stock') };
const never = () => new Promise<Outcome>(() => undefined);

interface Handled {
  readonly key: string;
  readonly body: string;
  readonly attempt: number;
  readonly by: string;
}
type Handle = (handled: Handled) => Promise<Outcome> | Outcome;

/** A broker whose every call stays without an answer once its owner is dead, or for as long as it is paused. */
interface Life {
  dead: boolean;
  pause: Promise<void> | null;
}

function mortal<T extends object>(of: T, life: Life): T {
  return new Proxy(of, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || name === 'streamsOf') return value;
      return async (...args: readonly unknown[]) => {
        if (life.pause !== null) await life.pause;
        return life.dead ? new Promise(() => undefined) : Reflect.apply(value, target, args);
      };
    },
  });
}

function shop(broker?: Broker) {
  const clock = createManualClock(1_000_000);
  return { clock, broker: broker ?? createInlineBroker({ name: 'default' }, { clock }), handled: [] as Handled[] };
}

/** One replica of a handler that keeps the order of each customer. */
function replica(
  { clock, broker, handled }: { clock: ManualClock; broker: Broker; handled: Handled[] },
  name: string,
  handle: Handle,
  changes: {
    readonly retry?: Partial<SubscriptionConfig['retry']>;
    readonly inOrder?: boolean;
    readonly group?: string;
  } = {},
) {
  const { group = 'billing' } = changes;
  const events = createEvents();
  const soft = new AbortController();
  const hard = new AbortController();
  const life: Life = { dead: false, pause: null };
  const cut = new Promise<Outcome>((resolve) => {
    hard.signal.addEventListener('abort', () => resolve({ kind: 'unavailable', error: new UnavailableError('x', '') }));
  });
  assert.ok(broker.partitions);
  const { open, view } = broker.partitions;
  const service = createPartitionSubscription(
    {
      subscription: { ...settings, retry: { ...settings.retry, ...changes.retry } },
      partitioning,
      group,
      owner: name,
      categories: [category],
      laneSuffix: null,
      inOrder: changes.inOrder ?? true,
      groups: [group],
    },
    {
      broker: { open: (options) => mortal(open(options), life), view },
      name: 'billing',
      open: ({ id, body, stream }) => ({
        key: body,
        messageId: id,
        messageType: null,
        correlationId: null,
        raisedAt: null,
        async run({ attempt }) {
          const facts = { key: stream.slice(category.length + 1), body, attempt, by: name };
          handled.push(facts);
          return Promise.race([handle(facts), cut]);
        },
      }),
      clock,
      random: () => 0.5,
      emit: events.emit,
      loopOptions: loopOptionsOn(clock, events),
    },
  );
  const running = service.run({ soft: soft.signal, hard: hard.signal });
  return {
    events,
    soft,
    life,
    async stop() {
      life.pause = null;
      soft.abort();
      await clock.advance(50);
      hard.abort();
      await clock.advance(5_000);
      if (!life.dead) await running;
    },
  };
}

const publish = (broker: Broker, key: string, ...bodies: readonly string[]) =>
  broker.publish(
    bodies.map((body) => ({ stream: partitionOf(category, key), body, key: null, partition: { index, key } })),
  );
const viewOf = (broker: Broker) => {
  assert.ok(broker.partitions);
  return broker.partitions.view({ group: 'billing', categories: [category], laneSuffix: null });
};
const bodiesOf = (handled: readonly Handled[], key: string) =>
  handled.filter((each) => each.key === key).map(({ body }) => body);
const ownersOf = async (broker: Broker) => (await viewOf(broker).states()).map(({ owner }) => owner);

/** Handlers that end when told. */
function gates() {
  const open = new Map<string, (outcome: Outcome) => void>();
  return {
    handle: ({ body }: Handled) => new Promise<Outcome>((resolve) => open.set(body, resolve)),
    running: () => [...open.keys()].sort(),
    end(body: string, outcome: Outcome = done) {
      open.get(body)?.(outcome);
      open.delete(body);
    },
  };
}

describe('partitions in order', () => {
  it('has one message of a key in hand at a time, and those of other keys beside it', async () => {
    const world = shop();
    const { handle, running, end } = gates();
    const one = replica(world, 'one', handle);
    await publish(world.broker, 'ann', 'a1', 'a2', 'a3');
    await publish(world.broker, 'bob', 'b1', 'b2');
    await world.clock.advance(200);
    assert.deepEqual(running(), ['a1', 'b1']);
    end('b1');
    await world.clock.advance(1);
    assert.deepEqual(running(), ['a1', 'b2']);
    end('a1');
    await world.clock.advance(1);
    assert.deepEqual(running(), ['a2', 'b2']);
    for (const body of ['a2', 'b2']) end(body);
    await world.clock.advance(1);
    end('a3');
    await world.clock.advance(100);
    assert.deepEqual(
      (await viewOf(world.broker).states()).map(({ lag, pending }) => lag + pending),
      [0, 0],
    );
    await one.stop();
  });

  it('handles what is published at once, without a poll', async () => {
    const world = shop();
    const one = replica(world, 'one', () => done);
    await publish(world.broker, 'ann', 'a1');
    await world.clock.advance(300);
    await publish(world.broker, 'ann', 'a2');
    await publish(world.broker, 'new', 'n1');
    await world.clock.advance(1);
    assert.deepEqual(
      world.handled.map(({ body }) => body),
      ['a1', 'a2', 'n1'],
    );
    await one.stop();
  });

  it('holds back the rest of a key while its first waits for a retry, and no other key', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body, attempt }) => (body === 'a1' && attempt < 3 ? failed : done));
    await publish(world.broker, 'ann', 'a1', 'a2');
    await publish(world.broker, 'bob', ...Array.from({ length: 50 }, (_, n) => `b${n}`));
    await world.clock.advance(150);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1']);
    assert.equal(bodiesOf(world.handled, 'bob').length, 50);
    await world.clock.advance(1_000);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a1', 'a1', 'a2']);
    assert.deepEqual(
      bodiesOf(world.handled, 'bob'),
      Array.from({ length: 50 }, (_, n) => `b${n}`),
    );
    await one.stop();
  });

  it('stands still behind a message that is given up, tells of it, and lets other keys pass', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body }) => (body === 'a1' ? failed : done));
    await publish(world.broker, 'ann', 'a1', 'a2');
    await publish(world.broker, 'bob', 'b1');
    await world.clock.advance(3_000);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a1', 'a1']);
    assert.deepEqual(bodiesOf(world.handled, 'bob'), ['b1']);
    assert.equal(one.events.count('delivery.halted'), 1);
    const states = await viewOf(world.broker).states();
    assert.deepEqual(
      states.map(({ key, blocked }) => [key, blocked?.errorMessage ?? null]),
      [
        ['ann', 'no stock'],
        ['bob', null],
      ],
    );
    const told = one.events.all.flatMap((each) => (each.event === 'partitions.changed' ? [each.blocked] : []));
    assert.equal(told.at(-1), 1);
    assert.equal(await world.broker.length(deadLettersOf(partitionOf(category, 'ann'))), 0);
    await one.stop();
  });

  it('goes on by itself once the message it stood still behind can be handled', async () => {
    const world = shop();
    let broken = true;
    const one = replica(world, 'one', ({ body }) => (body === 'a1' && broken ? failed : done));
    await publish(world.broker, 'ann', 'a1', 'a2');
    await world.clock.advance(3_000);
    broken = false;
    await world.clock.advance(settings.retry.backoff.maxMs);
    assert.deepEqual(bodiesOf(world.handled, 'ann').slice(-2), ['a1', 'a2']);
    assert.equal((await viewOf(world.broker).states())[0]?.blocked, null);
    await one.stop();
  });

  it('passes a message that is skipped by hand', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body }) => (body === 'a1' ? failed : done));
    await publish(world.broker, 'ann', 'a1', 'a2');
    await world.clock.advance(1_500);
    const view = viewOf(world.broker);
    const blocking = await view.blocking('ann');
    assert.ok(blocking);
    assert.equal(await view.unblock('ann', blocking.blocked, null), true);
    await world.clock.advance(2_000);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a1', 'a1', 'a2']);
    await one.stop();
  });

  it('passes a message that is moved to the dead letters by hand, which has its history', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body }) => (body === '{"n":1}' ? failed : done));
    await publish(world.broker, 'ann', '{"n":1}', '{"n":2}');
    await world.clock.advance(1_500);
    const view = viewOf(world.broker);
    const blocking = await view.blocking('ann');
    assert.ok(blocking);
    const { delivery, blocked } = blocking;
    const verdict = { group: 'billing', consumer: 'me', handler: 'billing', messageId: null, failedAt: blocked.since };
    const body = composeDeadLetter(delivery, { ...verdict, error: new Error('no stock') });
    const stream = deadLettersOf(delivery.stream);
    assert.equal(await view.unblock('ann', blocked, { stream, body }), true);
    await world.clock.advance(2_000);
    assert.equal(await world.broker.length(stream), 1);
    assert.equal(bodiesOf(world.handled, 'ann').at(-1), '{"n":2}');
    await one.stop();
  });

  it('writes a dead letter and goes on where that is asked for', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body }) => (body === 'a1' ? failed : done), {
      retry: { onExhausted: 'dead_letter' },
    });
    await publish(world.broker, 'ann', 'a1', 'a2');
    await world.clock.advance(3_000);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a1', 'a1', 'a2']);
    assert.equal(await world.broker.length(deadLettersOf(partitionOf(category, 'ann'))), 1);
    await one.stop();
  });

  it('never stands still behind what is no message', async () => {
    const world = shop();
    const malformed: Outcome = { kind: 'failed', error: new DecodeError('not_json', 'the body is no JSON') };
    const one = replica(world, 'one', ({ body }) => (body === '?' ? malformed : done));
    await publish(world.broker, 'ann', '?', 'a2');
    await world.clock.advance(500);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['?', 'a2']);
    assert.equal(await world.broker.length(deadLettersOf(partitionOf(category, 'ann'))), 1);
    await one.stop();
  });

  it('gives up a message whose owners have died with it three times', async () => {
    const world = shop();
    const deaths: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const each = replica(world, `r${n}`, never);
      if (n === 0) await publish(world.broker, 'ann', 'a1', 'a2');
      await world.clock.advance(leaseTtlMs + 500);
      deaths.push(...bodiesOf(world.handled, 'ann'));
      each.life.dead = true;
    }
    const last = replica(world, 'last', () => done);
    await world.clock.advance(leaseTtlMs + 500);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a1', 'a1', 'a2']);
    assert.equal(await world.broker.length(deadLettersOf(partitionOf(category, 'ann'))), 1);
    await last.stop();
  });

  it('keeps what it owns by its heartbeats, however long a handler runs', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body }) => (body === 'a1' ? never() : done));
    await publish(world.broker, 'ann', 'a1');
    await publish(world.broker, 'bob', 'b1');
    await world.clock.advance(500);
    const two = replica(world, 'two', () => done);
    await world.clock.advance(10 * leaseTtlMs);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1']);
    assert.equal((await viewOf(world.broker).states()).find(({ key }) => key === 'ann')?.owner, 'one');
    await two.stop();
    await one.stop();
  });

  it('shares keys evenly with a replica that comes, and takes them back from one that goes, at once', async () => {
    const world = shop();
    for (let n = 0; n < 40; n += 1) await publish(world.broker, `k${n}`, 'x');
    const one = replica(world, 'one', () => done);
    await world.clock.advance(500);
    assert.deepEqual(new Set(await ownersOf(world.broker)), new Set(['one']));
    const two = replica(world, 'two', () => done);
    await world.clock.advance(2_000);
    assert.equal((await ownersOf(world.broker)).filter((owner) => owner === 'two').length, 20);
    assert.equal((await ownersOf(world.broker)).filter((owner) => owner === 'one').length, 20);
    two.soft.abort();
    await world.clock.advance(150);
    assert.equal((await ownersOf(world.broker)).filter((owner) => owner === 'one').length, 40);
    await two.stop();
    await one.stop();
  });

  it('takes over what a dead replica owned within the time to live, first what it had in hand', async () => {
    const world = shop();
    const one = replica(world, 'one', never);
    await publish(world.broker, 'ann', 'a1', 'a2');
    await world.clock.advance(500);
    const two = replica(world, 'two', () => done);
    one.life.dead = true;
    await world.clock.advance(leaseTtlMs + 500);
    assert.deepEqual(
      world.handled.map(({ by, body }) => [by, body]),
      [
        ['one', 'a1'],
        ['two', 'a1'],
        ['two', 'a2'],
      ],
    );
    await two.stop();
  });

  it('refuses what a replica settles that was paused for longer than its lease', async () => {
    const world = shop();
    const { handle, end } = gates();
    const one = replica(world, 'one', handle, { retry: { maxAttempts: 1, onExhausted: 'dead_letter' } });
    await publish(world.broker, 'ann', 'a1', 'a2');
    await world.clock.advance(500);
    let resume: () => void = () => undefined;
    one.life.pause = new Promise((resolve) => {
      resume = resolve;
    });
    const two = replica(world, 'two', () => failed, { retry: { maxAttempts: 1, onExhausted: 'dead_letter' } });
    await world.clock.advance(leaseTtlMs + 1_000);
    const letters = deadLettersOf(partitionOf(category, 'ann'));
    assert.equal(await world.broker.length(letters), 2, 'of the second owner');
    end('a1', failed);
    resume();
    one.life.pause = null;
    await world.clock.advance(2_000);
    assert.equal(await world.broker.length(letters), 2, 'and of nobody else');
    assert.deepEqual(
      world.handled.map(({ by, body }) => `${by} ${body}`),
      ['one a1', 'two a1', 'two a2'],
    );
    assert.equal(one.events.count('delivery.dead_lettered'), 0);
    assert.equal(one.events.count('delivery.disowned') > 0, true);
    await two.stop();
    await one.stop();
  });

  it('does not take a key again while its own handler still runs, though the lease was lost', async () => {
    const world = shop();
    const { handle, end } = gates();
    const one = replica(world, 'one', handle);
    await publish(world.broker, 'ann', 'a1', 'a2');
    await world.clock.advance(500);
    let resume: () => void = () => undefined;
    one.life.pause = new Promise((resolve) => {
      resume = resolve;
    });
    await world.clock.advance(leaseTtlMs + 500);
    resume();
    one.life.pause = null;
    await world.clock.advance(3_000);
    assert.deepEqual(
      world.handled.map(({ body }) => body),
      ['a1'],
      'it was lost, and is free',
    );
    end('a1');
    await world.clock.advance(3_000);
    assert.deepEqual(
      world.handled.map(({ body }) => body),
      ['a1', 'a1'],
      'at least once',
    );
    end('a1');
    await world.clock.advance(100);
    end('a2');
    await world.clock.advance(100);
    assert.deepEqual(
      world.handled.map(({ body }) => body),
      ['a1', 'a1', 'a2'],
    );
    assert.equal(one.events.count('delivery.suspected'), 0, 'no process has died');
    await one.stop();
  });

  it('hands a key over the moment its handler has ended on the way out', async () => {
    const world = shop();
    const { handle, end } = gates();
    const one = replica(world, 'one', handle);
    await publish(world.broker, 'ann', 'a1', 'a2');
    await publish(world.broker, 'bob', 'b1');
    await world.clock.advance(500);
    const two = replica(world, 'two', () => done, {});
    await world.clock.advance(100);
    one.soft.abort();
    await world.clock.advance(100);
    end('a1');
    await world.clock.advance(100);
    assert.deepEqual(
      world.handled.map(({ by, body }) => `${by} ${body}`),
      ['one a1', 'one b1', 'two a2'],
    );
    end('b1');
    await world.clock.advance(100);
    await one.stop();
    await two.stop();
    assert.deepEqual(new Set(await ownersOf(world.broker)), new Set([null]));
  });

  it('removes keys that have long been idle, and takes them up again when something comes', async () => {
    const world = shop();
    const one = replica(world, 'one', () => done);
    await publish(world.broker, 'ann', 'a1');
    await world.clock.advance(partitioning.reapIdleMs * 2.2);
    assert.deepEqual(await viewOf(world.broker).states(), []);
    await publish(world.broker, 'ann', 'a2');
    await world.clock.advance(200);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a2']);
    await one.stop();
  });
});

describe('partitions of a handler that keeps no order by key', () => {
  it('lets what is behind a failed message pass', async () => {
    const world = shop();
    const one = replica(world, 'one', ({ body, attempt }) => (body === 'a1' && attempt < 3 ? failed : done), {
      inOrder: false,
      retry: { onExhausted: 'dead_letter' },
    });
    await publish(world.broker, 'ann', 'a1', 'a2', 'a3');
    await world.clock.advance(120);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a2', 'a3']);
    await world.clock.advance(2_000);
    assert.deepEqual(bodiesOf(world.handled, 'ann'), ['a1', 'a2', 'a3', 'a1', 'a1']);
    assert.equal((await viewOf(world.broker).states())[0]?.pending, 0);
    await one.stop();
  });
});
