import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { atOnce, bodiesOf, entry, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const slots = 16_384;

describe('streams in several slots', () => {
  let cluster: RedisServer;
  let single: RedisServer;
  before(async () => {
    [cluster, single] = await Promise.all([startRedis({ args: ['--cluster-enabled', 'yes'] }), startRedis()]);
    const all = Array.from({ length: slots }, (_, slot) => slot);
    await cluster.cli('CLUSTER', 'ADDSLOTS', ...all);
    await until('a cluster', async () =>
      String(await cluster.cli('CLUSTER', 'INFO')).includes('cluster_state:ok') ? true : null,
    );
  });
  after(async () => {
    await cluster?.stop();
    await single?.stop();
  });

  const streams = [['shop::order', 'shop::order:backfill'], 'shop::invoice'];

  it('are read in turn on a cluster, each with its lanes, and settled there', async () => {
    const { broker } = redisBrokerAt(cluster.url, { hashTag: true });
    const consumer = await broker.consume({ streams, aside: ['shop::order:__replay__:g'], group: 'g', consumer: 'c' });
    // The first read finds out that it takes several.
    assert.deepEqual(await consumer.read(atOnce), []);
    await broker.publish([
      entry('shop::invoice', 'i1'),
      entry('shop::order:backfill', 'b1'),
      entry('shop::order', 'o1'),
    ]);
    const read = await consumer.read(atOnce);
    assert.deepEqual(bodiesOf(read).toSorted(), ['b1', 'i1', 'o1']);
    assert.ok(bodiesOf(read).indexOf('o1') < bodiesOf(read).indexOf('b1'));
    const waiting = consumer.read({ ...atOnce, blockMs: 10_000, acks: read });
    await broker.publish([entry('shop::invoice', 'i2')]);
    const [late] = await waiting;
    assert.equal(late?.body, 'i2');
    const failure = { time: '', consumer: 'c', error_type: 'Error', error_message: 'no' };
    await consumer.settle([{ kind: 'retry', delivery: late, failure }]);
    const [again] = await consumer.retake([late]);
    assert.ok(again);
    await consumer.settle([{ kind: 'dead_letter', delivery: again, stream: 'shop::invoice:dlq', body: '{}' }]);
    assert.equal(await broker.length('shop::invoice:dlq'), 1);
    assert.deepEqual(await consumer.takeGivenBack(10, 1_000), []);
    assert.deepEqual(await consumer.reclaim(10, 60_000), { deliveries: [], lost: [] });
    assert.equal(await consumer.trim(100), 0);
    await consumer.leave();
    await broker.close();
  });

  it('are read by one command on a single server, though their names are tagged', async () => {
    const { broker } = redisBrokerAt(single.url, { hashTag: true });
    const consumer = await broker.consume({ streams, group: 'g', consumer: 'c' });
    const waiting = consumer.read({ ...atOnce, blockMs: 10_000 });
    await until('a read that waits', async () =>
      String(await single.cli('CLIENT', 'LIST')).includes('cmd=xreadgroup') ? true : null,
    );
    await broker.publish([entry('shop::invoice', 'i1')]);
    assert.deepEqual(bodiesOf(await waiting), ['i1']);
    assert.deepEqual(await single.cli('EXISTS', '{shop::invoice}', '{shop::order}:backfill'), 2);
    await consumer.close();
    await broker.close();
  });
});
