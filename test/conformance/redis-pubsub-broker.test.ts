import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Broker } from '../../src/broker/broker.ts';
import type { RedisBrokerConfig } from '../../src/broker/redis-connections.ts';
import { createRedisPubsubBroker } from '../../src/broker/redis-pubsub-broker.ts';
import { deadLettersOf } from '../../src/message/stream-name.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';
import { atOnce, bodiesOf, entry } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { describeBroker } from './broker.conformance.ts';

const capabilities = { groups: true, redelivery: false, deadLetters: false, persistence: true, partitions: false };
const deps = { clock: systemClock, random: systemRandom, notice: () => undefined };
const configFor = (uri: string, hashTag: boolean): RedisBrokerConfig => ({
  provider: 'redis_pubsub',
  name: 'lists',
  uri,
  tls: null,
  connectTimeoutMs: 5_000,
  commandTimeoutMs: 5_000,
  maxConnections: null,
  hashTag,
});

for (const hashTag of [false, true]) {
  describeBroker({
    name: hashTag ? 'redis_pubsub with hash tags' : 'redis_pubsub',
    capabilities,
    foreignEntries: false,
    start: async () => {
      const redis = await startRedis({ shared: true });
      const broker = createRedisPubsubBroker(configFor(redis.url, hashTag), deps);
      return {
        broker,
        age: async () => assert.fail('nothing is pending'),
        pass: async () => assert.fail('nothing grows old'),
        append: async () => assert.fail('not tried'),
        async end() {
          await broker.close();
          await redis.stop();
        },
      };
    },
  });
}

describe('The lists of redis_pubsub', () => {
  let redis: RedisServer;
  let broker: Broker;
  before(async () => {
    redis = await startRedis();
    broker = createRedisPubsubBroker(configFor(redis.url, false), deps);
  });
  after(async () => {
    await broker.close();
    await redis.stop();
  });
  const join = (stream: string) => broker.consume({ streams: [stream], group: 'shop.Audit', consumer: 'c' });

  it('hold pairs of an id and a message, with a position for each group', async () => {
    const [result] = await broker.publish([entry('pairs', '{"data": {"n": 1.0}}')]);
    assert.ok(result?.kind === 'confirmed');
    assert.deepEqual(await redis.cli('LRANGE', 'pairs', 0, -1), [`["${result.id}", {"data": {"n": 1.0}}]`]);
    const [delivery] = await (await join('pairs')).read(atOnce);
    assert.equal(delivery?.id, result.id);
    assert.equal(delivery?.body, '{"data": {"n": 1.0}}');
    assert.equal(await redis.cli('GET', 'position:pairs:shop.Audit'), '1');
  });

  it('are read where another reader of the same group left off', async () => {
    await redis.cli('RPUSH', 'shared', '["a", {"n":1}]', '["b", {"n":2}]', ' [ "c" , [1, "]"] ] ');
    await redis.cli('SET', 'position:shared:shop.Audit', 1);
    const deliveries = await (await join('shared')).read(atOnce);
    assert.deepEqual(
      deliveries.map(({ id, body }) => [id, body]),
      [
        ['b', '{"n":2}'],
        ['c', '[1, "]"]'],
      ],
    );
  });

  it('give an item of another shape as it is', async () => {
    const bytes = Buffer.from([0xff, 0x00]);
    await redis.cli('RPUSH', 'others', 'text', bytes);
    const [text, binary] = await (await join('others')).read(atOnce);
    assert.deepEqual({ id: text?.id, body: text?.body, raw: text?.raw }, { id: '0', body: 'text', raw: null });
    assert.deepEqual(binary?.raw, Uint8Array.from(bytes));
  });

  it('are read from the beginning when they were emptied and filled again', async () => {
    await broker.publish([entry('emptied', '1'), entry('emptied', '2')]);
    const consumer = await join('emptied');
    await consumer.read(atOnce);
    await redis.cli('DEL', 'emptied');
    await broker.publish([entry('emptied', '3')]);
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), ['3']);
  });

  it('refuse the entries of a key of another type, and hold what stands behind them', async () => {
    await redis.cli('SET', 'text', 'x');
    const results = await broker.publish([entry('text', '1', 'k'), entry('list', '2', 'k'), entry('list', '3')]);
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['refused', 'held', 'confirmed'],
    );
    await assert.rejects(broker.length('text'), MisconfiguredError);
    await assert.rejects(broker.inspect('text', 'g'), MisconfiguredError);
  });

  it('have their retries in memory and their dead letters in a list', async () => {
    await broker.publish([entry('failing', '{"n":1}')]);
    const consumer = await join('failing');
    const [delivery] = await consumer.read(atOnce);
    assert.ok(delivery);
    const failure = { time: '2026-11-23T14:34:47+00:00', consumer: 'c', error_type: 'Error', error_message: 'no' };
    await consumer.settle([{ kind: 'retry', delivery, failure }]);
    const [again] = await consumer.retake([{ ...delivery, body: '' }]);
    assert.ok(again);
    assert.deepEqual([again.attempt, again.history, again.body], [2, [failure], '{"n":1}']);
    await consumer.settle([{ kind: 'dead_letter', delivery: again, stream: deadLettersOf('failing'), body: '{}' }]);
    assert.equal(await broker.length(deadLettersOf('failing')), 1);
  });
});
