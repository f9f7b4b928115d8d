import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from '../../src/broker/broker.ts';
import { originalBody, payloadIn, toDeadLetter, withPayload } from '../../src/broker/dead-letters.ts';
import { causeKey, withoutDetail } from '../../src/cli/dlq-causes.ts';
import { memberIn, withoutMember } from '../../src/message/json-member.ts';
import { deadLettersOf, originOf, replayOf, sourceOfDeadLetters } from '../../src/message/stream-name.ts';
import { composeDeadLetter } from '../../src/subscription/dead-letter.ts';

const deliveryOf = (body: string, raw: Uint8Array | null = null): Delivery => ({
  id: '5-0',
  stream: 'bookshelf::order',
  body,
  bare: false,
  raw,
  attempt: 1,
  history: [],
  redelivered: false,
  suspect: false,
  crashes: 0,
});

const letterOf = (body: string, raw: Uint8Array | null = null): string =>
  composeDeadLetter(deliveryOf(body, raw), {
    group: 'bookshelf.Shipping',
    consumer: 'Shipping-1',
    handler: 'Shipping',
    messageId: 'm-1',
    failedAt: '2026-11-23T14:00:00.000+00:00',
    error: new Error('no "stock" left'),
  });

describe('A member of a JSON text', () => {
  it('is found wherever it stands, and only on the first level', () => {
    const text = ' {"a" : [1, {"x": "}]\\"x"}], "x":{"x": 1}, "b": "x", "\\u0079": -1.5e3 , "z":null}';
    const value = (key: string) => {
      const span = memberIn(text, key);
      return span === null ? null : text.slice(span.start, span.end);
    };
    assert.deepEqual(['a', 'x', 'b', 'y', 'z', 'c'].map(value), [
      '[1, {"x": "}]\\"x"}]',
      '{"x": 1}',
      '"x"',
      '-1.5e3',
      'null',
      null,
    ]);
    assert.equal(memberIn('[{"x": 1}]', 'x'), null);
    assert.equal(memberIn('{}', 'x'), null);
  });

  it('is taken out with its comma, the last of several', () => {
    const without = (text: string) => {
      const span = memberIn(text, 'x');
      return span === null ? text : withoutMember(text, span);
    };
    assert.equal(without('{"x": 1}'), '{}');
    assert.equal(without('{"x": 1, "a": 2}'), '{"a": 2}');
    assert.equal(without('{"a": 2, "x": 1}'), '{"a": 2}');
    assert.equal(without('{"a": 2, "x": {"y": []}, "b": 3}'), '{"a": 2, "b": 3}');
    assert.equal(without('{"x": 1, "x": 2}'), '{"x": 1}');
    assert.equal(without('{"a": "x"}'), '{"a": "x"}');
  });
});

describe('The body in a dead letter', () => {
  it('is what the handler was given, to the byte', () => {
    for (const body of [
      '{}',
      '{"data": {"n": 12345678901234567890, "f": 1.0, "t": "\\u00fc \\"}{,"}, "metadata": {"headers": {"id": "m-1"}}}',
      '{"_dlq_metadata": {"by": "a producer"}, "a": 1}',
      '{"raw_base64": "not ours", "b": [1]}',
    ]) {
      assert.equal(originalBody(letterOf(body))?.toString(), body);
    }
  });

  it('is the raw bytes where it was no JSON object', () => {
    assert.equal(originalBody(letterOf('[1, 2]'))?.toString(), '[1, 2]');
    assert.equal(originalBody(letterOf('{"half": '))?.toString(), '{"half": ');
    const bytes = Buffer.from([0xff, 0x00, 0xfe, 0x7b]);
    assert.deepEqual(originalBody(letterOf(bytes.toString(), bytes)), bytes);
  });

  it('is not there in what is no dead letter', () => {
    for (const text of ['', 'nonsense', '[]', '{"data": {}}']) assert.equal(originalBody(text), null);
  });

  it('takes another payload, and loses the checksum of the first', () => {
    const body =
      '{"data": {"n": 1.0}, "metadata": {"headers": {"id": "m-1"}, "envelope": {"specversion": "1.0", "checksum": "abc"}}}';
    assert.equal(payloadIn(body), '{"n": 1.0}');
    assert.equal(
      withPayload(body, '{"n":2}'),
      '{"data": {"n":2}, "metadata": {"headers": {"id": "m-1"}, "envelope": {"specversion": "1.0", "checksum": null}}}',
    );
    assert.equal(payloadIn('{"data": 1}'), '{"data": 1}');
    assert.equal(withPayload('{"data": 1}', '[]'), '[]');
  });
});

describe('A dead letter', () => {
  it('says all that was noted of its end', () => {
    const body = '{"data": {}, "metadata": {"headers": {"id": "m-1", "type": "Bookshelf.OrderPlaced.v1"}}}';
    const letter = toDeadLetter('bookshelf::order:dlq', '9-1', letterOf(body), 5_000);
    const { group, handler, messageType, reason, errorType, errorMessage, attempts, history, origin, originalId } =
      letter;
    assert.deepEqual(
      { group, handler, messageType, reason, errorType, errorMessage, attempts, origin, originalId },
      {
        group: 'bookshelf.Shipping',
        handler: 'Shipping',
        messageType: 'Bookshelf.OrderPlaced.v1',
        reason: 'handler_failed',
        errorType: 'Error',
        errorMessage: 'no "stock" left',
        attempts: 1,
        origin: 'bookshelf::order',
        originalId: '5-0',
      },
    );
    assert.equal(history.length, 1);
  });

  it('of another kind says nothing, and does not throw', () => {
    for (const body of ['', '1', '{"_dlq_metadata": 7}', '{"_dlq_metadata": {"attempts": [1, null], "handler": 3}}']) {
      const { group, handler, history, errorType } = toDeadLetter('x:dlq', '1-0', body, 0);
      assert.deepEqual([group, handler, history, errorType], [null, null, [], null]);
    }
  });

  it('has the cause of another where only ids, numbers and quoted values differ', () => {
    assert.equal(withoutDetail('order 42 of "Ada" is unknown\n at x'), 'order # of "…" is unknown');
    assert.equal(withoutDetail('no 6f1c2d8e-0000-4000-8000-00000000abcd'), 'no #');
    const key = (message: string) =>
      causeKey('Shipping', { ...toDeadLetter('x:dlq', '1-0', '{}', 0), errorMessage: message });
    assert.equal(key('order ord-1 is late'), key('order ord-2 is late'));
    assert.notEqual(key('order ord-1 is late'), key('order ord-1 is lost'));
  });
});

describe('The stream of a replay', () => {
  it('is one of its own for each group, and its dead letters go where the first went', () => {
    const replay = replayOf('bookshelf::order', 'bookshelf.Shipping');
    assert.equal(replay, 'bookshelf::order:__replay__:bookshelf.Shipping');
    assert.equal(originOf(replay), 'bookshelf::order');
    assert.equal(originOf('bookshelf::order:backfill'), 'bookshelf::order:backfill');
    assert.equal(deadLettersOf(replay), 'bookshelf::order:dlq');
    assert.equal(replayOf(replay, 'bookshelf.Shipping'), replay);
    assert.equal(sourceOfDeadLetters('bookshelf::order:dlq'), 'bookshelf::order');
    assert.equal(sourceOfDeadLetters('bookshelf::order'), null);
    assert.equal(sourceOfDeadLetters(':dlq'), null);
  });
});
