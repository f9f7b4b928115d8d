import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  camelDomain,
  categoryOf,
  categoryOfStream,
  commandCategory,
  idOfStream,
  isPartitionKey,
  isStreamName,
  normalizeDomain,
} from '../../src/message/stream-name.ts';
import { isMessageName, parseTypeName } from '../../src/message/type-name.ts';

describe('the names of messages', () => {
  for (const [name, normalized, camel] of [
    ['MyDomain', 'mydomain', 'Mydomain'],
    ['My Domain 1.0', 'my_domain_1_0', 'MyDomain10'],
    ['Éclair Shop', 'eclair_shop', 'EclairShop'],
    ['acme.orders', 'acme_orders', 'AcmeOrders'],
    ['bookshelf', 'bookshelf', 'Bookshelf'],
  ] as const) {
    it(`normalise the domain ${name} to ${normalized}, and ${camel} in types`, () => {
      assert.equal(normalizeDomain(name), normalized);
      assert.equal(camelDomain(normalized), camel);
    });
  }
  it('form categories and streams, which can be taken apart again', () => {
    assert.equal(categoryOf('bookshelf', 'order'), 'bookshelf::order');
    assert.equal(categoryOf('bookshelf', 'billing::invoice'), 'billing::invoice');
    assert.equal(commandCategory('bookshelf::order'), 'bookshelf::order:command');
    assert.equal(categoryOfStream('bookshelf::order-a-1-b'), 'bookshelf::order');
    assert.equal(idOfStream('bookshelf::order-a-1-b'), 'a-1-b');
    assert.equal(idOfStream('bookshelf::order'), null);
  });
  it('parse as types of the one grammar', () => {
    assert.deepEqual(parseTypeName('Bookshelf.OrderPlaced.v2'), {
      domain: 'Bookshelf',
      name: 'OrderPlaced',
      version: 2,
    });
    for (const type of ['OrderPlaced', 'A.B', 'A.B.v', 'A.B.vx', 'A..v1', 'A.B.v1.x', ''])
      assert.equal(parseTypeName(type), null);
  });
  it('refuse what would break a key, a log line or a reserved word', () => {
    for (const key of ['', 'a:b', 'dlq', 'backfill', '__partitions__', 'command', 'a\nb', 'x'.repeat(256)]) {
      assert.equal(isPartitionKey(key, 'backfill'), false, key);
    }
    assert.ok(isPartitionKey('c1', 'backfill'));
    assert.ok(isStreamName('external-orders') && !isStreamName('a b') && !isStreamName('a\n') && !isStreamName(''));
    assert.ok(isMessageName('PlaceOrder') && !isMessageName('Place-Order') && !isMessageName(''));
  });
});
