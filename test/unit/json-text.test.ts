import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { jsonText } from '../../src/message/json-text.ts';

describe('the JSON text of a value', () => {
  it('is that of JSON.stringify, for all that JSON can say', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.equal(jsonText(value, 'data'), JSON.stringify(value));
      }),
    );
  });

  it('has a Date as its text', () => {
    assert.equal(jsonText({ at: new Date(0) }, 'data'), '{"at":"1970-01-01T00:00:00.000Z"}');
  });

  it('may hold one object twice', () => {
    const shared = { a: 1 };
    assert.equal(jsonText([shared, shared], 'data'), '[{"a":1},{"a":1}]');
  });

  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  let deep: unknown = 1;
  for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
  const refused: readonly (readonly [string, unknown, string])[] = [
    ['undefined', undefined, 'data is undefined: leave it out, or use null'],
    ['undefined in an object', { a: [{ b: undefined }] }, 'data.a[0].b is undefined: leave it out, or use null'],
    ['a hole in a list', new Array(1), 'data[0] is undefined: leave it out, or use null'],
    ['NaN', { a: Number.NaN }, 'data.a is NaN, which JSON cannot say'],
    ['infinity', [Number.NEGATIVE_INFINITY], 'data[0] is -Infinity, which JSON cannot say'],
    ['a bigint', { a: 1n }, 'data.a is a bigint, which JSON cannot say: use a text'],
    ['a function', { a: () => 1 }, 'data.a is a function, which JSON cannot say'],
    ['a symbol', [Symbol('x')], 'data[0] is a symbol, which JSON cannot say'],
    ['a Map', { a: new Map() }, 'data.a is a Map, which JSON cannot say'],
    ['a Set', { a: new Set() }, 'data.a is a Set, which JSON cannot say'],
    ['a promise that was not awaited', { a: Promise.resolve(1) }, 'data.a is a Promise, which JSON cannot say'],
    ['what holds itself', cycle, 'data.self[0] holds itself'],
  ];
  for (const [what, value, message] of refused) {
    it(`is refused for ${what}, with its place`, () => {
      assert.throws(() => jsonText(value, 'data'), { name: 'TypeError', message });
    });
  }

  it('is refused for what is nested deeper than anybody writes', () => {
    assert.throws(() => jsonText(deep, 'data'), /is nested more than 200 deep$/);
  });
});
