import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { correlationIdOf, openExternal } from '../../src/handler/incoming.ts';
import { aMessage } from '../support/messages.ts';

const open = (payload: unknown) => openExternal(JSON.stringify(payload), 'external-orders', '1-0');

describe('an entry of an external stream', () => {
  it('is handed over as the JSON that it is', () => {
    for (const payload of [{ customer: 'ada' }, ['a'], 'text', 7, null])
      assert.deepEqual(open(payload).payload, payload);
  });

  it('that is not JSON is refused with the place, and without a piece of the body', () => {
    assert.throws(
      () => openExternal('{"customer": secret}', 'external-orders', '1-0'),
      (error: Error & { code: string }) => error.code === 'invalid_json' && !/secret/.test(error.message + error.cause),
    );
  });

  it('is known by its stream and entry', () => {
    assert.equal(open({ customer: 'ada' }).id, 'external-orders#1-0');
  });

  it('is known by the id of the event where it is one, so that publishing it twice is noticed', () => {
    const metadata = { headers: { id: 'shop::order-1-0.1' }, domain: { kind: 'EVENT' } };
    assert.equal(open({ data: {}, metadata }).id, 'shop::order-1-0.1');
  });

  it('with an id that nobody vouches for is known by its entry', () => {
    assert.equal(open({ metadata: { headers: { id: 'order-1' } } }).id, 'external-orders#1-0');
  });

  it('tells its correlation id from where producers put it, the envelope first', () => {
    const metadata = { domain: { correlation_id: 'a' }, correlation_id: 'b' };
    assert.equal(open({ metadata, correlation_id: 'c' }).correlationId, 'a');
    assert.equal(open({ metadata: { correlation_id: 'b' }, correlation_id: 'c' }).correlationId, 'b');
    assert.equal(open({ correlation_id: 'c' }).correlationId, 'c');
    assert.equal(open({ correlation_id: 7 }).correlationId, null);
  });
});

describe('a message', () => {
  it('tells its correlation id, or none where its producer left out that part of the envelope', () => {
    assert.equal(correlationIdOf(aMessage({ correlationId: 'a' })), 'a');
    const { metadata, ...message } = aMessage();
    const bare = { ...message, metadata: { headers: metadata.headers } as typeof metadata };
    assert.equal(correlationIdOf(bare), null);
  });
});
