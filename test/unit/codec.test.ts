import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { composeBody, decode, encode } from '../../src/message/codec.ts';
import { DecodeError } from '../../src/runtime/errors.ts';

const folder = new URL('../fixtures/wire/', import.meta.url);

interface Captured {
  readonly entries?: readonly { readonly id: string; readonly fields: Readonly<Record<string, string>> }[];
}
const captures = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) =>
    Object.entries(JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Record<string, Captured>),
  )
  .flatMap(([key, { entries = [] }]) => entries.map((entry) => ({ stream: key.replace(/^db\d:/, ''), ...entry })));
const bodies = captures.flatMap(({ stream, fields: { data } }) => (data === undefined ? [] : [{ stream, body: data }]));
// The traces are that server's own telemetry, not messages.
const messages = bodies.filter(({ stream, body }) => stream !== 'protean:traces' && 'metadata' in JSON.parse(body));

describe('captured entries of the Python server', () => {
  it('are there to be read', () => assert.ok(messages.length > 12 && bodies.length > messages.length));

  it('decode, each with its name, its stream and its category', () => {
    for (const { stream, body } of messages) {
      const message = decode(body);
      const raw = JSON.parse(body);
      assert.equal(message.id, raw.metadata.headers.id);
      assert.equal(message.type, `${raw.metadata.headers.type.split('.')[0]}.${message.name}.v${message.version}`);
      assert.equal(message.kind, raw.metadata.domain.kind);
      assert.ok(stream.startsWith(message.category), `${stream} carries ${message.category}`);
      assert.deepEqual(message.data, raw.data);
    }
  });

  it('come out of the codec as they went in', () => {
    for (const { body } of messages) {
      const { data, metadata } = decode(body);
      assert.deepEqual(JSON.parse(encode(data, metadata)), {
        data: JSON.parse(body).data,
        metadata: JSON.parse(body).metadata,
      });
    }
  });

  it('that are external are JSON of any shape', () => {
    for (const { body } of bodies.filter((each) => !messages.includes(each)))
      assert.equal(typeof JSON.parse(body), 'object');
  });
});

describe('a body that is not a message', () => {
  const headers = { id: 'i', type: 'A.B.v1', stream: 's-1' };
  const body = (change: object) => JSON.stringify({ data: {}, metadata: { headers: { ...headers, ...change } } });
  const cases = [
    ['{"data": 1', 'invalid_json', /^the body is not JSON \(at character \d+\)$|^the body is not JSON$/],
    ['null', 'invalid_envelope', /^the body must be an object$/],
    ['[]', 'invalid_envelope', /^the body must be an object$/],
    ['{}', 'invalid_envelope', /^metadata must be an object$/],
    ['{"metadata": {}}', 'invalid_envelope', /^metadata.headers must be an object$/],
    [body({ id: 5 }), 'invalid_envelope', /^metadata.headers.id must be a string that is not empty$/],
    [body({ stream: '' }), 'invalid_envelope', /^metadata.headers.stream must be/],
    [body({ type: 'B' }), 'invalid_envelope', /^metadata.headers.type must be <Domain>/],
    [JSON.stringify({ data: [], metadata: { headers } }), 'invalid_envelope', /^data must be an object$/],
  ] as const;
  for (const [text, code, message] of cases) {
    it(`${text} is refused, with the path of its fault`, () => {
      assert.throws(
        () => decode(text),
        (error) => error instanceof DecodeError && error.code === code && message.test(error.message),
      );
    });
  }

  it('is never anything but a DecodeError, and never quotes itself', async () => {
    const almost = fc.record({
      data: fc.jsonValue(),
      metadata: fc.record({ headers: fc.jsonValue(), domain: fc.jsonValue() }),
    });
    await fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          almost.map((value) => JSON.stringify(value)),
        ),
        (text) => {
          try {
            decode(text);
          } catch (error) {
            assert.ok(error instanceof DecodeError);
            assert.ok(text.length < 12 || !error.message.includes(text));
          }
        },
      ),
    );
  });
});

describe('a body that is composed', () => {
  it('holds the text of the payload as it came from the database', () => {
    const text = '{"b":1.0,"big":12345678901234567890}';
    assert.ok(composeBody(text, '{}').includes(text));
  });
});
