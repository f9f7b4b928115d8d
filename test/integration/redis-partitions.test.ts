import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Outgoing } from '../../src/broker/broker.ts';
import { laneOf, partitionOf, partitionsOf, wakeOf } from '../../src/message/stream-name.ts';
import { redisBrokerAt, type TriedBroker } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const category = 'orders::order';
const index = partitionsOf(category);

const toPartition = (key: string, n: number, lane = false): Outgoing => {
  const stream = partitionOf(category, key);
  const partition = { index, key };
  return { stream: lane ? laneOf(stream, 'backfill') : stream, body: `{"n":${n}}`, key: `o-${n}`, partition };
};

describe('partitions in Redis', () => {
  let server: RedisServer;
  let tried: TriedBroker;
  let tagged: TriedBroker;
  let publisher: TriedBroker;
  before(async () => {
    server = await startRedis();
    tried = redisBrokerAt(server.url);
    publisher = redisBrokerAt(server.url);
    tagged = redisBrokerAt(server.url, { hashTag: true });
  });
  beforeEach(() => server.cli('FLUSHALL'));
  after(async () => {
    await tried?.broker.close();
    await publisher?.broker.close();
    await tagged?.broker.close();
    await server?.stop();
  });

  const keys = async () => ((await server.cli('KEYS', '*')) as readonly string[]).toSorted();
  const typeOf = (key: string) => server.cli('TYPE', key);

  it('makes the keys that the other system makes', async () => {
    const fixture = new URL('../fixtures/wire/partitions-lanes-external.json', import.meta.url);
    const captured: { readonly [key: string]: { readonly type: string } } = JSON.parse(readFileSync(fixture, 'utf8'));
    const theirs = Object.entries(captured)
      .filter(([key]) => key.startsWith('db4:orders::order:'))
      .map(([key, { type }]) => [key.slice('db4:'.length), type]);
    await tried.broker.publish([
      toPartition('c1', 1),
      toPartition('c2', 2),
      toPartition('c1', 3, true),
      toPartition('c2', 4, true),
    ]);
    const ours = await Promise.all((await keys()).map(async (key) => [key, await typeOf(key)]));
    const heard = [wakeOf(category), 'stream'];
    assert.deepEqual(ours, [...theirs, heard].toSorted(), 'and one that its readers pass over');
    assert.deepEqual(((await server.cli('SMEMBERS', index)) as string[]).toSorted(), ['c1', 'c2']);
  });

  it('goes with entries of plain streams in one batch, each in its order', async () => {
    const plain = { stream: category, body: '{"n":0}', key: null };
    const entries = [toPartition('c1', 1), plain, toPartition('ü "x"', 2), toPartition('c1', 3), plain];
    const results = await tried.broker.publish(entries);
    assert.ok(results.every(({ kind }) => kind === 'confirmed'));
    assert.equal(await server.cli('XLEN', category), 2);
    const entriesOf = (await server.cli('XRANGE', `${category}:c1`, '-', '+')) as readonly [
      string,
      readonly string[],
    ][];
    assert.deepEqual(
      entriesOf.map(([, fields]) => fields[1]),
      ['{"n":1}', '{"n":3}'],
    );
    assert.deepEqual(((await server.cli('SMEMBERS', index)) as string[]).toSorted(), ['c1', 'ü "x"']);
  });

  it('refuses what cannot be found by those who read the index, and nothing else', async () => {
    await server.cli('SET', index, 'no set');
    const plain = { stream: category, body: '{}', key: null };
    const results = await tried.broker.publish([toPartition('c1', 1), plain]);
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['refused', 'confirmed'],
    );
    assert.equal(await server.cli('EXISTS', `${category}:c1`), 0);
  });

  it('keeps a partition and its index in one slot where names are tagged', async () => {
    await tagged.broker.publish([toPartition('c1', 1)]);
    assert.deepEqual(await keys(), [
      '{orders::order}:__partitions__',
      '{orders::order}:__wake__',
      '{orders::order}:c1',
    ]);
  });

  it('loses nothing that is published while its partition is being removed', async () => {
    const options = { group: 'race', owner: 'one', categories: [category], laneSuffix: null, leaseTtlMs: 10_000 };
    const own = tried.broker.partitions?.open(options);
    assert.ok(own);
    const count = 600;
    const read: string[] = [];
    let published = 0;
    let reaped = 0;
    const publishAll = async () => {
      for (let n = 0; n < count; n += 1) {
        await publisher.broker.publish([toPartition('c1', n)]);
        published += 1;
        if (n % 3 === 0) await delay(1);
      }
    };
    const consume = async () => {
      while (read.length < count) {
        const [taken] = await own.acquire((await own.keys(null)).keys);
        if (taken === undefined) continue;
        const { lease } = taken;
        const [reply] = await own.read([{ lease, count: 50, from: null }]);
        const deliveries = reply?.deliveries ?? [];
        read.push(...deliveries.map(({ body }) => body));
        await own.settle(deliveries.map((delivery) => ({ lease, thing: { kind: 'ack', delivery } })));
        reaped += (await own.reap([lease], 0, ['race'])).length;
        if (published === count && (await own.keys(null)).keys.length === 0) break;
      }
    };
    await Promise.all([publishAll(), consume()]);
    await own.close();
    assert.deepEqual(
      read,
      Array.from({ length: count }, (_, n) => `{"n":${n}}`),
    );
    assert.ok(reaped > 10, `removed ${reaped} times`);
  });

  it('leaves nothing behind of a partition that is removed', async () => {
    const options = { group: 'gone', owner: 'one', categories: [category], laneSuffix: 'backfill', leaseTtlMs: 10_000 };
    const own = tried.broker.partitions?.open(options);
    assert.ok(own);
    await tried.broker.publish([toPartition('c1', 1), toPartition('c1', 2, true)]);
    const [taken] = await own.acquire(['c1']);
    assert.ok(taken);
    const { lease } = taken;
    for (let stream = 0; stream < 2; stream += 1) {
      const [reply] = await own.read([{ lease, count: 10, from: null }]);
      for (const delivery of reply?.deliveries ?? []) {
        const failure = { time: '', consumer: '', error_type: 'Error', error_message: 'no stock' };
        await own.settle([{ lease, thing: { kind: 'retry', delivery, failure } }]);
        await own.settle([{ lease, thing: { kind: 'ack', delivery } }]);
      }
    }
    await delay(5);
    assert.deepEqual(await own.reap([lease], 1, ['gone']), [lease]);
    await own.close();
    assert.deepEqual(await keys(), [wakeOf(category)]);
  });

  it('has the leases and consumers that the other system has', async () => {
    const fixture = new URL('../fixtures/wire/partitions-lanes-external.json', import.meta.url);
    const captured: { readonly [key: string]: { readonly value?: unknown; readonly groups?: readonly never[] } } =
      JSON.parse(readFileSync(fixture, 'utf8'));
    const theirs = Object.keys(captured).filter((key) => /orders\.OrderHandler:c1:/.test(key));
    const owner = 'OrderHandler-vm-21838-0897e0';
    const options = {
      group: 'orders.OrderHandler',
      owner,
      categories: [category],
      laneSuffix: null,
      leaseTtlMs: 15_000,
    };
    const own = tried.broker.partitions?.open(options);
    assert.ok(own);
    await tried.broker.publish([toPartition('c1', 1)]);
    const [taken] = await own.acquire(['c1']);
    assert.ok(taken);
    await own.read([{ lease: taken.lease, count: 1, from: null }]);
    const ours = (await keys()).filter((key) => key.startsWith('orders.OrderHandler:c1:'));
    assert.deepEqual(
      ours.map((key) => `db4:${key}`),
      theirs.toSorted(),
    );
    for (const key of ours) assert.equal(await server.cli('GET', key), captured[`db4:${key}`]?.value);
    const [consumer] = (await server.cli('XINFO', 'CONSUMERS', `${category}:c1`, 'orders.OrderHandler')) as string[][];
    assert.equal(consumer?.[1], `${owner}:1`);
    await own.close();
  });
});
