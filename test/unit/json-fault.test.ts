import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { jsonFault } from '../../src/message/json-fault.ts';

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('the place where a text ceases to be JSON', () => {
  const table: readonly (readonly [string, number])[] = [
    ['', 0],
    [' ', 1],
    ['x', 0],
    ['{', 1],
    ['{"a"', 4],
    ['{"a" 1}', 5],
    ['{"a":}', 5],
    ['{"a":1,}', 7],
    ['{"a":1 "b":2}', 7],
    ['{a:1}', 1],
    ['[1,]', 3],
    ['[1 2]', 3],
    ['[1}', 2],
    ['{]', 1],
    ['1 2', 2],
    ['01', 1],
    ['1.', 1],
    ['-', 0],
    ['+1', 0],
    ['tru', 0],
    ['truex', 4],
    ['NaN', 0],
    ['"a', 2],
    ['"a\nb"', 2],
    ['"\\x"', 1],
    ['"\\u12"', 1],
    ["'a'", 0],
    ['{"a":1}}', 7],
  ];
  for (const [text, offset] of table) {
    it(`of ${JSON.stringify(text)} is ${offset}`, () => assert.equal(jsonFault(text)?.offset, offset));
  }

  it('is told as line and column too', () => {
    assert.deepEqual(jsonFault('{\n  "a": 1,\n  b: 2\n}'), { offset: 14, line: 3, column: 3 });
    assert.deepEqual(jsonFault('x'), { offset: 0, line: 1, column: 1 });
  });

  it('is nowhere in JSON, however it is written', async () => {
    await fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 1, '\t'), (text, indent) => {
        assert.equal(jsonFault(JSON.stringify(JSON.parse(text), null, indent)), null);
      }),
    );
    for (const text of ['-0', '1e5', '1.5E-3', ' [ ] ', '{ }', '"\\u00e9\\n\\/"', '[[],{}]'])
      assert.equal(jsonFault(text), null);
  });

  it('is found where JSON.parse finds one, and only there', async () => {
    const pieces = fc.constantFrom(
      ...'{}[],:"\\ \n\tntru0123456789.eE+-'.split(''),
      'null',
      'true',
      'false',
      '"a"',
      '\\u0041',
      'é',
    );
    await fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        assert.equal(jsonFault(text) === null, isJson(text), JSON.stringify(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('is found in a text that is nested very deep', () => {
    assert.equal(jsonFault('['.repeat(200_000))?.offset, 200_000);
  });
});
