import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from '../../src/broker/broker.ts';
import { composeDeadLetter } from '../../src/subscription/dead-letter.ts';

const delivery: Delivery = {
  id: '5-0',
  stream: 'bookshelf::order',
  body: '{"data": {"n": 1.0}, "metadata": {"headers": {}}}',
  bare: false,
  raw: null,
  attempt: 2,
  history: [{ time: 't1', consumer: 'c1', error_type: 'Error', error_message: 'first' }],
  redelivered: true,
  suspect: false,
  crashes: 0,
};
const verdict = {
  group: 'bookshelf.Shipping',
  consumer: 'c2',
  handler: 'Shipping',
  messageId: 'm-1',
  failedAt: 't2',
  error: new TypeError('second'),
};
const lettered = (changes: Partial<Delivery>) => composeDeadLetter({ ...delivery, ...changes }, verdict);

describe('a dead letter', () => {
  it('is the original text, untouched, with the metadata of its end', () => {
    const body = lettered({});
    assert.ok(body.startsWith('{"data": {"n": 1.0}, "metadata": {"headers": {}}, "_dlq_metadata": {'));
    const { _dlq_metadata: about } = JSON.parse(body);
    assert.deepEqual(
      [
        about.original_stream,
        about.original_id,
        about.consumer_group,
        about.consumer,
        about.failed_at,
        about.retry_count,
      ],
      ['bookshelf::order', '5-0', 'bookshelf.Shipping', 'c2', 't2', 2],
    );
    assert.deepEqual([about.handler, about.message_id, about.error_type], ['Shipping', 'm-1', 'TypeError']);
  });
  it('has the whole history, the last attempt included', () => {
    const { _dlq_metadata: about } = JSON.parse(lettered({}));
    assert.deepEqual(
      about.attempts.map((attempt: { error_message: string }) => attempt.error_message),
      ['first', 'second'],
    );
  });
  it('stands for an empty object too', () => {
    assert.deepEqual(Object.keys(JSON.parse(lettered({ body: ' { } ' }))), ['_dlq_metadata']);
  });
  for (const body of ['not json', '[1]', '"x"', 'null', '5', '']) {
    it(`keeps the bytes of ${JSON.stringify(body)}`, () => {
      const letter = JSON.parse(lettered({ body }));
      assert.equal(Buffer.from(letter.raw_base64, 'base64').toString(), body);
      assert.deepEqual(Object.keys(letter), ['raw_base64', '_dlq_metadata']);
    });
  }
  it('keeps bytes that are not UTF-8', () => {
    const letter = JSON.parse(lettered({ body: '\ufffd', raw: Uint8Array.of(0xff, 0xfe) }));
    assert.deepEqual([...Buffer.from(letter.raw_base64, 'base64')], [0xff, 0xfe]);
  });
});
