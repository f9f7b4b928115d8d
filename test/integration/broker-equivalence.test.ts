import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Broker, Consumer, Delivery } from '../../src/broker/broker.ts';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { atOnce, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

/** What may be asked of a consumer, `who` of two in one group, about `which` of the deliveries it holds. */
type Step =
  | { readonly do: 'publish'; readonly stream: 0 | 1; readonly count: number }
  | { readonly do: 'read'; readonly who: 0 | 1; readonly count: number }
  | {
      readonly do: 'ack' | 'retry' | 'dead_letter' | 'give_back' | 'start' | 'retake';
      readonly who: 0 | 1;
      readonly which: number;
    }
  | { readonly do: 'heartbeat' | 'reclaim' | 'return'; readonly who: 0 | 1 }
  | { readonly do: 'time passes' };

const who = fc.constantFrom(0 as const, 1 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('publish' as const), stream: who, count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant('read' as const), who, count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({
    do: fc.constantFrom(
      'ack' as const,
      'retry' as const,
      'dead_letter' as const,
      'give_back' as const,
      'start' as const,
      'retake' as const,
    ),
    who,
    which: fc.nat(20),
  }),
  fc.record({ do: fc.constantFrom('heartbeat' as const, 'reclaim' as const, 'return' as const), who }),
  fc.constant({ do: 'time passes' as const }),
);

const idleMs = 60_000;
const agePending = `
for _, key in ipairs(KEYS) do
  for _, each in ipairs(redis.call('XPENDING', key, 'g', '-', '+', 1000)) do
    redis.call('XCLAIM', key, 'g', each[2], 0, each[1], 'IDLE', ARGV[1], 'RETRYCOUNT', each[4], 'JUSTID')
  end
end`;

/** One of the two brokers on its own two streams, and what its two consumers hold, by body. */
interface Side {
  readonly broker: Broker;
  readonly streams: readonly [string, string];
  readonly consumers: [Consumer, Consumer];
  readonly held: readonly [Map<string, Delivery>, Map<string, Delivery>];
  readonly age: () => Promise<unknown>;
}

/** Does a step on one side; what came of it, in terms that both sides share. */
async function perform(side: Side, action: Step, number: number): Promise<unknown> {
  const { broker, streams, consumers, held, age } = side;
  if (action.do === 'publish') {
    const entries = Array.from({ length: action.count }, (_, index) => ({
      stream: streams[action.stream],
      body: `${number}.${index}`,
      key: null,
    }));
    return (await broker.publish(entries)).map(({ kind }) => kind);
  }
  if (action.do === 'time passes') return void (await age());
  const consumer = consumers[action.who];
  const mine = held[action.who];
  const take = (deliveries: readonly Delivery[]) => {
    for (const delivery of deliveries) mine.set(delivery.body, delivery);
    return deliveries.map(({ body, attempt, history, redelivered, suspect, crashes, stream }) => ({
      body,
      attempt,
      history,
      redelivered,
      suspect,
      crashes,
      stream: streams.indexOf(stream),
    }));
  };
  const drop = (deliveries: readonly Delivery[]) => {
    for (const { body } of deliveries) mine.delete(body);
    return deliveries.map(({ body }) => body).toSorted();
  };
  switch (action.do) {
    case 'read':
      return take(await consumer.read({ ...atOnce, count: action.count }));
    case 'heartbeat':
      return drop(await consumer.heartbeat([...mine.values()]));
    case 'reclaim':
      return take((await consumer.reclaim(1_000, idleMs)).deliveries).toSorted((a, b) => a.body.localeCompare(b.body));
    case 'return': {
      await consumer.close();
      mine.clear();
      consumers[action.who] = await broker.consume({ streams, group: 'g', consumer: consumer.name });
      return null;
    }
  }
  const delivery = [...mine.values()].toSorted((a, b) => a.body.localeCompare(b.body))[action.which];
  if (delivery === undefined) return 'nothing held';
  switch (action.do) {
    case 'start':
      return void (await consumer.recordStart(delivery));
    case 'retake': {
      const fresh = take(await consumer.retake([delivery]));
      if (fresh.length === 0) mine.delete(delivery.body);
      return fresh;
    }
    case 'ack':
    case 'give_back':
      mine.delete(delivery.body);
      return drop(await consumer.settle([{ kind: action.do, delivery }]));
    case 'dead_letter':
      mine.delete(delivery.body);
      return drop(
        await consumer.settle([{ kind: 'dead_letter', delivery, stream: `${streams[0]}:dlq`, body: delivery.body }]),
      );
    case 'retry': {
      const failure = { time: `${number}`, consumer: consumer.name, error_type: 'Error', error_message: 'no' };
      return drop(await consumer.settle([{ kind: 'retry', delivery, failure }]));
    }
  }
}

async function stateOf({ broker, streams }: Side): Promise<unknown> {
  const groups = await Promise.all(streams.map((stream) => broker.inspect(stream, 'g')));
  return {
    groups: groups.map(({ lag, pending }) => ({ lag, pending })),
    dead: await broker.length(`${streams[0]}:dlq`),
  };
}

describe('The inline and the Redis broker', () => {
  let redis: RedisServer;
  let onRedis: Broker;
  let rounds = 0;
  before(async () => {
    redis = await startRedis({ shared: true });
    onRedis = redisBrokerAt(redis.url).broker;
  });
  after(async () => {
    await onRedis.close();
    await redis.stop();
  });

  async function sideOf(broker: Broker, streams: readonly [string, string], age: Side['age']): Promise<Side> {
    const join = (consumer: string) => broker.consume({ streams, group: 'g', consumer });
    const consumers: Side['consumers'] = [await join('one'), await join('two')];
    return { broker, streams, consumers, held: [new Map(), new Map()], age };
  }

  it('answer alike, whatever is asked of them in whatever order', async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      rounds += 1;
      const streams = [`same${process.pid}x${rounds}a`, `same${process.pid}x${rounds}b`] as const;
      const clock: ManualClock = createManualClock(1_700_000_000_000);
      const age = () => redis.cli('EVAL', agePending, 2, ...streams, idleMs);
      const sides = [
        await sideOf(createInlineBroker({ name: 'inline' }, { clock }), streams, () => clock.advance(idleMs)),
        await sideOf(onRedis, streams, age),
      ] as const;
      for (const [number, action] of steps.entries()) {
        const inline = await perform(sides[0], action, number);
        const real = await perform(sides[1], action, number);
        assert.deepEqual(real, inline, `step ${number}: ${action.do}`);
        assert.deepEqual(await stateOf(sides[1]), await stateOf(sides[0]), `after step ${number}: ${action.do}`);
      }
      await Promise.all(sides[1].consumers.map((consumer) => consumer.close()));
    });
    await fc.assert(property, { numRuns: 60 });
  });
});
