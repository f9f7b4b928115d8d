import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { deadLettersOf } from '../../src/message/stream-name.ts';
import type { TriedBroker } from '../support/redis-broker.ts';
import { atOnce, bodiesOf, entry, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const failure = { time: '2026-11-23T14:34:47.000000+00:00', consumer: 'c', error_type: 'Error', error_message: 'no' };

describe('A Redis broker whose data is taken away', () => {
  let redis: RedisServer;
  let tried: TriedBroker;
  before(async () => {
    redis = await startRedis();
    tried = redisBrokerAt(redis.url);
  });
  after(async () => {
    await tried.broker.close();
    await redis.stop();
  });

  const recreated = (stream: string) =>
    tried.notices.filter((notice) => notice.kind === 'group_recreated' && notice.stream === stream).length;

  const held = async (stream: string, ...texts: readonly string[]) => {
    await tried.broker.publish(texts.map((text) => entry(stream, text)));
    const consumer = await tried.broker.consume({ streams: [stream], group: 'g', consumer: 'c' });
    return { consumer, deliveries: await consumer.read(atOnce) };
  };

  it('makes a lost group again from the beginning, and tells', async () => {
    const { consumer, deliveries } = await held('destroyed', '1', '2');
    await consumer.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery })));
    await redis.cli('XGROUP', 'DESTROY', 'destroyed', 'g');
    assert.deepEqual(await consumer.read(atOnce), []);
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), ['1', '2']);
    assert.equal(recreated('destroyed'), 1);
  });

  it('does not hand out again what is still in hand when its group is made again', async () => {
    const { consumer, deliveries } = await held('still-in-hand', '1', '2');
    await redis.cli('XGROUP', 'DESTROY', 'still-in-hand', 'g');
    assert.deepEqual(await consumer.read(atOnce), []);
    assert.deepEqual(await consumer.read(atOnce), []);
    assert.equal((await tried.broker.inspect('still-in-hand', 'g')).pending, 2);
    await consumer.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery })));
    assert.equal((await tried.broker.inspect('still-in-hand', 'g')).pending, 0);
  });

  it('makes the groups of several streams again', async () => {
    const streams = ['several-a', 'several-b'];
    const consumer = await tried.broker.consume({ streams, group: 'g', consumer: 'c' });
    await redis.cli('DEL', ...streams);
    await tried.broker.publish([entry('several-b', 'x')]);
    assert.deepEqual(await consumer.read(atOnce), []);
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), ['x']);
    assert.deepEqual(streams.map(recreated), [1, 1]);
  });

  it('goes on after all is flushed under a waiting read', async () => {
    const consumer = await tried.broker.consume({ streams: ['flushed'], group: 'g', consumer: 'c' });
    const reading = consumer.read({ ...atOnce, blockMs: 30_000 });
    let blocked = '';
    while (!blocked.includes('blocked_clients:1')) blocked = String(await redis.cli('INFO', 'clients'));
    await redis.cli('FLUSHALL');
    assert.deepEqual(await reading, []);
    assert.equal(recreated('flushed'), 1);
    await tried.broker.publish([entry('flushed', 'after')]);
    assert.deepEqual(bodiesOf(await consumer.read({ ...atOnce, blockMs: 1_000 })), ['after']);
  });

  it('owns nothing of a group that is gone', async () => {
    const { consumer, deliveries } = await held('not-ours', '1', '2', '3');
    const [one, two, three] = deliveries;
    assert.ok(one && two && three);
    await redis.cli('DEL', 'not-ours');
    assert.deepEqual(await consumer.heartbeat([one]), [one]);
    assert.deepEqual(await consumer.retake([one]), []);
    const disowned = await consumer.settle([
      { kind: 'ack', delivery: one },
      { kind: 'retry', delivery: two, failure },
      { kind: 'dead_letter', delivery: three, stream: deadLettersOf('not-ours'), body: '{}' },
    ]);
    assert.deepEqual(disowned, [two, three]);
    assert.equal(await tried.broker.length(deadLettersOf('not-ours')), 0);
    assert.deepEqual(await consumer.reclaim(10, 0), { deliveries: [], lost: [] });
    assert.equal(recreated('not-ours'), 1);
    await redis.cli('DEL', 'not-ours');
    await consumer.leave();
  });

  it('reports entries that were deleted while their consumer was dead', async () => {
    const { deliveries } = await held('deleted', '1', '2', '3');
    const [one, , three] = deliveries;
    assert.ok(one && three);
    await redis.cli('XDEL', 'deleted', one.id, three.id);
    const heir = await tried.broker.consume({ streams: ['deleted'], group: 'g', consumer: 'heir' });
    const { deliveries: taken, lost } = await heir.reclaim(10, 0);
    assert.deepEqual(bodiesOf(taken), ['2']);
    assert.deepEqual(lost, [one.id, three.id]);
    assert.equal((await tried.broker.inspect('deleted', 'g')).pending, 1);
    assert.deepEqual((await heir.reclaim(10, 0)).lost, []);
  });

  it('reports entries that were trimmed while they waited for a retry', async () => {
    const { consumer, deliveries } = await held('trimmed', '1', '2');
    const [one, two] = deliveries;
    assert.ok(one && two);
    await consumer.settle(deliveries.map((delivery) => ({ kind: 'retry', delivery, failure })));
    await redis.cli('XTRIM', 'trimmed', 'MAXLEN', 1);
    assert.deepEqual(bodiesOf(await consumer.retake(deliveries)), ['2']);
    assert.deepEqual((await consumer.reclaim(10, 3_600_000)).lost, [one.id]);
    assert.equal(await redis.cli('HLEN', 'trimmed:__attempts__:g'), 1);
  });

  it('leaves no bookkeeping behind', async () => {
    const { consumer, deliveries } = await held('bookkeeping', '1', '2', '3');
    await consumer.settle(deliveries.map((delivery) => ({ kind: 'retry', delivery, failure })));
    const [one, two, three] = await consumer.retake(deliveries);
    assert.ok(one && two && three);
    await consumer.recordStart(one);
    assert.equal(await redis.cli('HLEN', 'bookkeeping:__attempts__:g'), 4);
    await consumer.read({ ...atOnce, acks: [one] });
    await consumer.settle([
      { kind: 'ack', delivery: two },
      { kind: 'dead_letter', delivery: three, stream: deadLettersOf('bookkeeping'), body: '{}' },
    ]);
    assert.equal(await redis.cli('EXISTS', 'bookkeeping:__attempts__:g'), 0);
  });

  it('counts an attempt even if what Redis wrote down of it is lost', async () => {
    const { consumer, deliveries } = await held('unwritten', '1');
    await consumer.settle(deliveries.map((delivery) => ({ kind: 'retry', delivery, failure })));
    await redis.cli('DEL', 'unwritten:__attempts__:g');
    const [again] = await consumer.retake(deliveries);
    assert.equal(again?.attempt, 2);
    assert.deepEqual(again?.history, [failure]);
  });

  it('takes bookkeeping that cannot be read for none', async () => {
    const { consumer, deliveries } = await held('garbled', '1', '2');
    const [one, two] = deliveries;
    assert.ok(one && two);
    await redis.cli('HSET', 'garbled:__attempts__:g', one.id, '[{"time":', two.id, '{}');
    assert.deepEqual(
      (await consumer.retake(deliveries)).map(({ attempt, history }) => ({ attempt, history })),
      [
        { attempt: 1, history: [] },
        { attempt: 1, history: [] },
      ],
    );
  });

  it('removes itself on leaving, and the dead that hold nothing', async () => {
    const { consumer, deliveries } = await held('leaving', '1', '2', '3');
    const [one, two] = deliveries;
    assert.ok(one && two);
    await consumer.settle([
      { kind: 'ack', delivery: one },
      { kind: 'give_back', delivery: two },
    ]);
    const names = async () => {
      const consumers = await redis.cli('XINFO', 'CONSUMERS', 'leaving', 'g');
      return (consumers as readonly (readonly string[])[]).map(([, name]) => name);
    };
    await consumer.leave();
    assert.deepEqual(await names(), ['c', 'given-back']);
    const other = await tried.broker.consume({ streams: ['leaving'], group: 'g', consumer: 'other' });
    const { deliveries: taken } = await other.reclaim(10, 0);
    assert.deepEqual(bodiesOf(taken).toSorted(), ['2', '3']);
    await other.settle(taken.map((delivery) => ({ kind: 'ack', delivery })));
    await other.leave();
    assert.deepEqual(await names(), ['c', 'given-back']);
  });

  it('gives back on leaving what an answer that was lost had brought', async () => {
    const consumer = await tried.broker.consume({ streams: ['unseen'], group: 'g', consumer: 'c' });
    await consumer.read(atOnce);
    await tried.broker.publish([entry('unseen', 'x')]);
    await redis.cli('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'unseen', '>');
    await consumer.leave();
    const other = await tried.broker.consume({ streams: ['unseen'], group: 'g', consumer: 'other' });
    assert.deepEqual(bodiesOf((await other.reclaim(10, 3_600_000)).deliveries), ['x']);
  });

  it('counts what is unread where Redis has lost count', async () => {
    const { broker } = tried;
    const ids = (await broker.publish(['1', '2', '3'].map((text) => entry('count', text)))).map((result) =>
      result.kind === 'confirmed' ? result.id : '',
    );
    const consumer = await broker.consume({ streams: ['count'], group: 'g', consumer: 'c' });
    await consumer.read({ ...atOnce, count: 1 });
    await redis.cli('XGROUP', 'SETID', 'count', 'g', ids[1] ?? '');
    assert.equal((await broker.inspect('count', 'g')).lag, 1);
    await redis.cli('XDEL', 'count', ids[2] ?? '');
    assert.equal((await broker.inspect('count', 'g')).lag, 0);
  });
});
