import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Broker, Consumer } from '../../src/broker/broker.ts';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import type { SubscriptionConfig } from '../../src/config/config.ts';
import type { Outcome } from '../../src/handler/invoke.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { createSubscription } from '../../src/subscription/subscription.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';

const settings: SubscriptionConfig = {
  type: 'stream',
  sequentialBy: null,
  profile: null,
  batchSize: 10,
  tickMs: 0,
  blockMs: 1_000,
  concurrency: 4,
  handlerTimeoutMs: 60_000,
  retry: {
    maxAttempts: 3,
    maxCrashes: 3,
    backoff: { baseMs: 100, factor: 2, maxMs: 10_000, jitter: 0 },
    onExhausted: 'dead_letter',
    rules: new Map(),
  },
  breaker: { threshold: 100, resetAfterMs: 5_000 },
  minIdleMs: 3_000,
  heartbeatEveryMs: 1_000,
  reclaimEveryMs: 1_000,
  positionUpdateInterval: 10,
  recoverEveryMs: 30_000,
  gapTimeoutMs: 5_000,
  originStream: null,
  retentionMaxlen: null,
  origins: new Map(),
};

interface Handled {
  readonly body: string;
  readonly attempt: number;
  readonly at: number;
}
type Handle = (handled: Handled, signal: () => AbortSignal) => Promise<Outcome> | Outcome;
const done: Outcome = { kind: 'done', effect: 'ok', value: null };
const failed: Outcome = { kind: 'failed', error: new Error('no stock') };
const never = () => new Promise<Outcome>(() => undefined);

/** A subscription on the inline broker; the key of a body is its first letter. */
function given(
  handle: Handle,
  changes: Partial<SubscriptionConfig> = {},
  shared: { broker?: Broker; name?: string } = {},
) {
  const clock = createManualClock();
  return givenOn(clock, handle, changes, {
    broker: shared.broker ?? createInlineBroker({ name: 'default' }, { clock }),
    ...shared,
  });
}

function givenOn(
  clock: ReturnType<typeof createManualClock>,
  handle: Handle,
  changes: Partial<SubscriptionConfig>,
  {
    broker,
    name = 'billing-1',
    wrap = (consumer) => consumer,
  }: { broker: Broker; name?: string; wrap?: (consumer: Consumer) => Consumer },
) {
  const events = createEvents();
  const handled: Handled[] = [];
  const soft = new AbortController();
  const hard = new AbortController();
  const cutShort = new Promise<Outcome>((resolve) => {
    hard.signal.addEventListener('abort', () =>
      resolve({ kind: 'unavailable', error: new UnavailableError('stopping', '') }),
    );
  });
  const subscription = createSubscription(
    { ...settings, ...changes },
    {
      name: 'billing',
      stream: 'order',
      join: async () => wrap(await broker.consume({ streams: ['order'], group: 'billing', consumer: name })),
      open: ({ id, body }) => ({
        key: body.charAt(0),
        messageId: id,
        messageType: null,
        correlationId: null,
        raisedAt: null,
        run: async ({ attempt, signal }) => {
          const facts = { body, attempt, at: clock.now() };
          handled.push(facts);
          return Promise.race([handle(facts, signal), cutShort]);
        },
      }),
      clock,
      random: () => 0.5,
      emit: events.emit,
      loopOptions: loopOptionsOn(clock, events),
    },
  );
  const running = subscription.run({ soft: soft.signal, hard: hard.signal });
  return {
    clock,
    broker,
    events,
    handled,
    soft,
    hard,
    running,
    publish: (...bodies: string[]) => broker.publish(bodies.map((body) => ({ stream: 'order', body, key: null }))),
    async stop() {
      soft.abort();
      await clock.advance(10);
      hard.abort();
      await clock.advance(5_000);
      await running;
    },
  };
}

/** A consumer that says nothing more once its process is dead. */
function mortal(consumer: Consumer, isDead: () => boolean): Consumer {
  const silence = <T>(call: () => Promise<T>): Promise<T> => (isDead() ? new Promise<T>(() => undefined) : call());
  return {
    ...consumer,
    read: (request) => silence(() => consumer.read(request)),
    settle: (settlements) => silence(() => consumer.settle(settlements)),
    heartbeat: (held) => silence(() => consumer.heartbeat(held)),
    takeGivenBack: (count, minIdleMs) => silence(() => consumer.takeGivenBack(count, minIdleMs)),
    reclaim: (count, minIdleMs) => silence(() => consumer.reclaim(count, minIdleMs)),
  };
}

describe('a subscription', () => {
  it('hands every entry to its handler and acknowledges it', async () => {
    const worker = given(() => done);
    await worker.publish('a1', 'b1', 'a2');
    await worker.clock.advance(100);
    assert.deepEqual(worker.handled.map(({ body }) => body).sort(), ['a1', 'a2', 'b1']);
    assert.equal((await worker.broker.inspect('order', 'billing')).pending, 0);
    await worker.stop();
  });

  it('tries again after a growing wait, then writes a dead letter with the whole history', async () => {
    const worker = given(() => failed);
    await worker.publish('a1');
    await worker.clock.advance(2_000);
    assert.deepEqual(
      worker.handled.map(({ attempt, at }) => [attempt, at]),
      [
        [1, 0],
        [2, 100],
        [3, 300],
      ].map(([n, at]) => [n, (worker.handled[0]?.at ?? 0) + (at ?? 0)]),
    );
    assert.deepEqual(worker.events.names().slice(1), [
      'delivery.retried',
      'delivery.retried',
      'delivery.dead_lettered',
    ]);
    assert.equal(await worker.broker.length('order:dlq'), 1);
    assert.equal((await worker.broker.inspect('order', 'billing')).pending, 0);
    await worker.stop();
  });

  it('lets nobody wait for a message that waits for its retry', async () => {
    const worker = given(({ body }) => (body === 'a1' ? failed : done));
    await worker.publish('a1', 'b1', 'c1');
    await worker.clock.advance(50);
    assert.equal(worker.events.count('delivery.handled'), 2);
    await worker.stop();
  });

  it('keeps the order of each aggregate while others run beside it', async () => {
    const ends: (() => void)[] = [];
    const worker = given(() => new Promise((resolve) => ends.push(() => resolve(done))));
    await worker.publish('a1', 'a2', 'b1');
    await worker.clock.advance(10);
    assert.deepEqual(
      worker.handled.map(({ body }) => body),
      ['a1', 'b1'],
    );
    ends[0]?.();
    await worker.clock.advance(10);
    assert.deepEqual(
      worker.handled.map(({ body }) => body),
      ['a1', 'b1', 'a2'],
    );
    await worker.stop();
  });

  it('counts no attempt while the database is away', async () => {
    let away = true;
    const worker = given(() => (away ? { kind: 'unavailable', error: new UnavailableError('x', 'away') } : done));
    await worker.publish('a1');
    await worker.clock.advance(60_000);
    assert.ok(worker.handled.length > 3 && worker.handled.every(({ attempt }) => attempt === 1));
    away = false;
    await worker.clock.advance(20_000);
    assert.equal(worker.events.count('delivery.handled'), 1);
    assert.equal(await worker.broker.length('order:dlq'), 0);
    await worker.stop();
  });

  it('opens the breaker after failures in a row, and goes on after a good probe', async () => {
    let broken = true;
    const worker = given(() => (broken ? failed : done), {
      breaker: { threshold: 3, resetAfterMs: 5_000 },
      concurrency: 1,
      retry: { ...settings.retry, maxAttempts: 1, onExhausted: 'discard' },
    });
    await worker.publish('a1', 'b1', 'c1', 'd1', 'e1');
    await worker.clock.advance(1_000);
    assert.equal(worker.handled.length, 3);
    assert.equal(worker.events.count('breaker.opened'), 1);
    broken = false;
    await worker.clock.advance(10_000);
    assert.deepEqual(
      worker.handled
        .slice(3)
        .map(({ body }) => body)
        .sort(),
      ['d1', 'e1'],
    );
    assert.equal(worker.events.count('breaker.closed'), 1);
    await worker.stop();
  });

  it('takes over what a dead consumer left behind, and examines it one by one', async () => {
    const clock = createManualClock();
    const broker = createInlineBroker({ name: 'default' }, { clock });
    const dead = await broker.consume({ streams: ['order'], group: 'billing', consumer: 'dead' });
    await broker.publish(['a1', 'b1'].map((body) => ({ stream: 'order', body, key: null })));
    await dead.read({ count: 10, blockMs: 0, acks: [], signal: new AbortController().signal });
    const worker = givenOn(clock, () => done, {}, { broker });
    await clock.advance(2_900);
    assert.equal(worker.handled.length, 0);
    await clock.advance(2_000);
    assert.deepEqual(
      worker.handled.map(({ body }) => body),
      ['a1', 'b1'],
    );
    assert.equal(worker.events.count('delivery.suspected'), 2);
    assert.equal((await broker.inspect('order', 'billing')).pending, 0);
    await worker.stop();
  });

  it('gives up a message after three crashes, and does not run it a fourth time', async () => {
    const clock = createManualClock();
    const broker = createInlineBroker({ name: 'default' }, { clock });
    await broker.publish([{ stream: 'order', body: 'a1', key: null }]);
    const crashed: Promise<void>[] = [];
    let runs = 0;
    for (let life = 1; life <= 3; life += 1) {
      // A process that dies is one whose handler never ends and which the broker hears of no more.
      let dead = false;
      const worker = givenOn(
        clock,
        () => {
          runs += 1;
          return never();
        },
        {},
        { broker, name: `life-${life}`, wrap: (consumer) => mortal(consumer, () => dead) },
      );
      crashed.push(worker.running);
      for (let turn = 0; turn < 20 && runs < life; turn += 1) await clock.advance(1_000);
      assert.equal(runs, life);
      dead = true;
    }
    const last = givenOn(clock, () => done, {}, { broker, name: 'life-4' });
    await clock.advance(10_000);
    assert.equal(last.handled.length, 0);
    assert.equal(last.events.count('delivery.dead_lettered'), 1);
    assert.equal(await broker.length('order:dlq'), 1);
    await last.stop();
  });

  it('protects by heartbeat what a slow handler has in hand', async () => {
    const clock = createManualClock();
    const broker = createInlineBroker({ name: 'default' }, { clock });
    const slow = givenOn(clock, never, {}, { broker, name: 'slow' });
    await slow.publish('a1');
    await clock.advance(100);
    const other = givenOn(clock, () => done, {}, { broker, name: 'other' });
    await clock.advance(30_000);
    assert.equal(other.handled.length, 0);
    await slow.stop();
    await clock.advance(5_000);
    assert.equal(other.handled.length, 1);
    assert.equal(other.handled[0]?.attempt, 1);
    await other.stop();
  });

  it('reads whole batches while handlers are slower than reads', async () => {
    const ends: (() => void)[] = [];
    const worker = given(() => new Promise((resolve) => ends.push(() => resolve(done))), { concurrency: 2 });
    await worker.publish(...Array.from({ length: 100 }, (_, n) => `${n}`));
    await worker.clock.advance(1);
    const countsOf = () => worker.events.all.flatMap((each) => (each.event === 'deliveries.read' ? [each.count] : []));
    const before = countsOf().length;
    for (let n = 0; n < 40; n += 1) {
      ends.shift()?.();
      await worker.clock.advance(1);
    }
    assert.deepEqual(countsOf().slice(before), [10, 10, 10, 10]);
    for (const end of ends) end();
    await worker.stop();
  });

  it('gives back at once what has not begun, and finishes what has, when told to stop', async () => {
    const ends: (() => void)[] = [];
    const worker = given(() => new Promise((resolve) => ends.push(() => resolve(done))), { concurrency: 1 });
    await worker.publish('a1', 'b1', 'c1');
    await worker.clock.advance(10);
    worker.soft.abort();
    await worker.clock.advance(10);
    assert.equal(worker.events.count('delivery.given_back'), 2);
    ends[0]?.();
    await worker.clock.advance(100);
    await worker.running;
    assert.equal(worker.events.count('delivery.handled'), 1);
    const next = givenOn(worker.clock, () => done, {}, { broker: worker.broker, name: 'next' });
    await worker.clock.advance(1_500);
    assert.deepEqual(next.handled.map(({ body, attempt }) => [body, attempt]).sort(), [
      ['b1', 1],
      ['c1', 1],
    ]);
    await next.stop();
  });

  it('hands over within a second, but what waits for its retry no sooner than that is due', async () => {
    const backoff = { baseMs: 5_000, factor: 1, maxMs: 5_000, jitter: 0 };
    const changes = {
      ...{ concurrency: 1, reclaimEveryMs: 60_000, minIdleMs: 180_000, heartbeatEveryMs: 60_000 },
      retry: { ...settings.retry, backoff },
    };
    const worker = given(({ body }) => (body === 'a1' ? failed : never()), changes);
    await worker.publish('a1', 'b1', 'c1');
    await worker.clock.advance(10);
    const next = givenOn(worker.clock, () => done, changes, { broker: worker.broker, name: 'next' });
    await worker.clock.advance(500);
    worker.soft.abort();
    await worker.clock.advance(10);
    worker.hard.abort();
    await worker.clock.advance(1_000);
    const handled = () => next.handled.map(({ body, attempt }) => `${body} ${attempt}`).sort();
    assert.deepEqual(handled(), ['b1 1', 'c1 1']);
    await worker.clock.advance(3_000);
    assert.deepEqual(handled(), ['b1 1', 'c1 1']);
    await worker.clock.advance(1_500);
    assert.deepEqual(handled(), ['a1 2', 'b1 1', 'c1 1']);
    await worker.running;
    await next.stop();
  });

  it('halts at a message that is given up where that is asked for, and goes on once it is handled', async () => {
    let mended = false;
    const handle: Handle = ({ body }) => (body === 'b1' && !mended ? failed : done);
    const backoff = { baseMs: 100, factor: 2, maxMs: 1_000, jitter: 0 };
    const retry = { ...settings.retry, maxAttempts: 2, backoff, onExhausted: 'halt' as const };
    const worker = given(handle, { concurrency: 1, batchSize: 2, retry });
    await worker.publish('a1', 'b1');
    await worker.clock.advance(200);
    assert.equal(worker.events.count('delivery.halted'), 1);
    await worker.publish('c1', 'd1', 'e1');
    await worker.clock.advance(5_000);
    const bodies = () => new Set(worker.handled.map(({ body }) => body));
    assert.deepEqual([...bodies()], ['a1', 'b1']);
    assert.equal(await worker.broker.length('order:dlq'), 0);
    mended = true;
    await worker.clock.advance(2_500);
    assert.deepEqual([...bodies()], ['a1', 'b1', 'c1', 'd1', 'e1']);
    assert.equal(Math.max(...worker.handled.map(({ attempt }) => attempt)), 2);
    await worker.stop();
  });

  it('keeps acknowledgements that the broker did not take, and makes them later', async () => {
    const clock = createManualClock();
    const broker = createInlineBroker({ name: 'default' }, { clock });
    let away = false;
    const outage = () => Promise.reject(new UnavailableError('broker_unavailable', 'connection refused'));
    const worker = givenOn(
      clock,
      () => {
        away = true;
        return done;
      },
      {},
      {
        broker,
        wrap: (consumer) => ({
          ...consumer,
          read: (request) => (away ? outage() : consumer.read(request)),
          settle: (settlements) => (away ? outage() : consumer.settle(settlements)),
        }),
      },
    );
    await worker.publish('a1');
    await clock.advance(5_000);
    assert.equal((await broker.inspect('order', 'billing')).pending, 1);
    assert.ok(worker.events.count('loop.failed') > 0);
    away = false;
    await clock.advance(2_000);
    assert.equal((await broker.inspect('order', 'billing')).pending, 0);
    assert.equal(worker.handled.length, 1);
    await worker.stop();
  });
});
