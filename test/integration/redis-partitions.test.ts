import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, it } from 'node:test';
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

describe('publishing to partitions in Redis', () => {
  let server: RedisServer;
  let tried: TriedBroker;
  let tagged: TriedBroker;
  before(async () => {
    server = await startRedis();
    tried = redisBrokerAt(server.url);
    tagged = redisBrokerAt(server.url, { hashTag: true });
  });
  beforeEach(() => server.cli('FLUSHALL'));
  after(async () => {
    await tried?.broker.close();
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
});
