import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { replayOf } from '../../src/message/stream-name.ts';
import { atOnce, bodiesOf, entry, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

describe('a stream that stands aside', () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedis({ shared: true });
  });
  after(() => server.stop());

  it('is read by the sweeps, not by the reads, and is settled like any other', async () => {
    const { broker } = redisBrokerAt(server.url);
    const aside = replayOf('order', 'billing');
    const consumer = await broker.consume({ streams: ['order'], aside: [aside], group: 'billing', consumer: 'c-1' });
    await broker.publish([entry(aside, 'again'), entry('order', 'first')]);
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), ['first']);
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), []);

    const { deliveries } = await consumer.reclaim(10, 60_000);
    assert.deepEqual(bodiesOf(deliveries), ['again']);
    const [again] = deliveries;
    assert.ok(again && again.attempt === 1 && !again.suspect && !again.redelivered);
    await consumer.settle([{ kind: 'ack', delivery: again }]);
    assert.equal((await broker.inspect(aside, 'billing')).pending, 0);
    assert.deepEqual((await consumer.reclaim(10, 60_000)).deliveries, []);
    await consumer.close();
    await broker.close();
  });
});
