import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { raisedCommand, raisedEvent } from '../../src/handler/raised.ts';

const lineage = { domain: 'bookshelf', correlationId: 'c-1', causationId: 'm-1', traceparent: null };
const event = (options: object, name: unknown = 'OrderPlaced') => raisedEvent(name, options, lineage);
const command = (options: object, data: unknown = {}) => raisedCommand('PlaceOrder', data, options, lineage);
const order = { category: 'order', id: 'ord-1', data: {} };

describe('a raised event', () => {
  it('names its category with the domain, and keeps one that names another', () => {
    assert.equal(event(order).category, 'bookshelf::order');
    assert.equal(event({ ...order, category: 'warehouse::stock' }).category, 'warehouse::stock');
  });

  it('is what its payload was when it was raised', () => {
    const data = { lines: [1] };
    const { dataText } = event({ ...order, data });
    data.lines.push(2);
    assert.equal(dataText, '{"lines":[1]}');
  });

  it('carries on the correlation and says what caused it', () => {
    assert.deepEqual(event(order).options, { correlation_id: 'c-1', causation_id: 'm-1' });
  });

  it('belongs to the trace of the message in hand', () => {
    const traceparent = { trace_id: 'a'.repeat(32), parent_id: 'b'.repeat(16), sampled: true };
    const { options } = raisedEvent('OrderPlaced', order, { ...lineage, traceparent });
    assert.deepEqual(options['traceparent'], traceparent);
  });

  it('has its options by the names that the SQL functions know', () => {
    const { options } = event({
      ...order,
      version: 2,
      priority: -50,
      partitionKey: 'berlin',
      published: true,
      deliverAt: '2026-12-24T18:00:00+00:00',
      extensions: { tenant: 'a' },
    });
    assert.deepEqual(options, {
      version: 2,
      priority: -50,
      partition_key: 'berlin',
      published: true,
      deliver_at: '2026-12-24T18:00:00+00:00',
      extensions: { tenant: 'a' },
      correlation_id: 'c-1',
      causation_id: 'm-1',
    });
  });

  it('leaves out options that are undefined', () => {
    assert.ok(!('version' in event({ ...order, version: undefined }).options));
  });

  const wrong: readonly (readonly [string, () => unknown, RegExp])[] = [
    [
      'without options',
      () => raisedEvent('OrderPlaced', undefined, lineage),
      /ctx\.raise\("OrderPlaced"\) needs its options/,
    ],
    ['named like a sentence', () => event(order, 'order placed'), /a message is named like OrderPlaced/],
    ['without a category', () => event({ ...order, category: undefined }), /category must be a name like 'order'/],
    ['without an id', () => event({ category: 'order', data: {} }), /id must be the id of the aggregate/],
    ['with a number for an id', () => event({ ...order, id: 7 }), /id must be a text of 1 to 512 characters/],
    ['with a list for its payload', () => event({ ...order, data: [] }), /data must be an object/],
    ['with a version of 0', () => event({ ...order, version: 0 }), /version must be a whole number from 1/],
    ['with a priority of 1.5', () => event({ ...order, priority: 1.5 }), /priority must be a whole number/],
    [
      'with a time that is none',
      () => event({ ...order, deliverAt: 'tomorrow' }),
      /deliverAt must be a time in ISO-8601/,
    ],
    [
      'with an option of another name',
      () => event({ ...order, partition: 'x' }),
      /unknown option partition; known are/,
    ],
  ];
  for (const [what, raise, message] of wrong) {
    it(`${what} is refused, and the error says where`, () => assert.throws(raise, { name: 'TypeError', message }));
  }
});

describe('a command to process', () => {
  it('needs no aggregate', () => {
    assert.equal(command({ category: 'order' }).id, null);
    assert.equal(command({ category: 'order', id: 'ord-1' }).id, 'ord-1');
  });

  it('has a key for idempotency and a deadline by the names that the SQL functions know', () => {
    const { options } = command({ category: 'order', idempotencyKey: 'k', deadline: '2026-12-24T18:00:00+00:00' });
    assert.equal(options['idempotency_key'], 'k');
    assert.equal(options['deadline'], '2026-12-24T18:00:00+00:00');
  });

  it('cannot be published to external brokers', () => {
    assert.throws(() => command({ category: 'order', published: true }), /unknown option published/);
  });
});
