import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRedisKeys } from '../../src/broker/redis-keys.ts';
import { attemptsOf, deadLettersOf, laneOf, partitionOf, partitionsOf } from '../../src/message/stream-name.ts';

describe('The keys of a broker', () => {
  it('are the names', () => {
    const { keyOf, together } = createRedisKeys(false);
    assert.equal(keyOf('bookshelf::order:42'), 'bookshelf::order:42');
    assert.deepEqual(together(['a', 'b']), [['a', 'b']]);
    assert.deepEqual(together([]), []);
  });

  it('share the slot of their category with hash tags', () => {
    const { keyOf } = createRedisKeys(true);
    const category = 'bookshelf::order';
    const names = [
      category,
      `${category}:command`,
      partitionOf(category, '42'),
      partitionsOf(category),
      laneOf(category, 'backfill'),
      deadLettersOf(category),
      deadLettersOf(laneOf(category, 'backfill')),
      attemptsOf(category, 'bookshelf.OrderSummary'),
    ];
    for (const name of names) assert.equal(keyOf(name), `{${category}}${name.slice(category.length)}`);
    assert.equal(keyOf('external-orders'), '{external-orders}');
    assert.equal(keyOf(deadLettersOf('external-orders')), '{external-orders}:dlq');
  });

  it('differ for different names, with hash tags or without', () => {
    const names = ['a', 'a:b', 'a::b', 'a::b:c', 'a::b:c:dlq', 'a:b:c', 'ab', ':a', '::a'];
    for (const hashTag of [false, true]) {
      const { keyOf } = createRedisKeys(hashTag);
      assert.equal(new Set(names.map(keyOf)).size, names.length);
    }
  });

  it('are grouped by category with hash tags, in order', () => {
    const { together } = createRedisKeys(true);
    assert.deepEqual(together(['d::a', 'd::b', 'd::a:backfill']), [['d::a', 'd::a:backfill'], ['d::b']]);
  });
});
