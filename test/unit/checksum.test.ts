import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, checksumOf } from '../../src/message/checksum.ts';
import { decode } from '../../src/message/codec.ts';

describe('the canonical form of a payload', () => {
  it('sorts keys, takes spaces out and writes ASCII, but leaves numbers as they stand', () => {
    const text = '{"b":1.0,"a":"ü","c":null,"n":{"z":1,"y":[1,2.5,true]}}';
    assert.equal(canonicalJson(text), '{"a":"\\u00fc","b":1.0,"c":null,"n":{"y":[1,2.5,true],"z":1}}');
    assert.equal(checksumOf(text), 'f126d04bb4fe496a8f96edd12e7464ceea911ec20e9222cc68c6e2503f432b51');
    assert.equal(
      canonicalJson(' { "a" : [ 1e5 , -0.10 , 12345678901234567890 ] } '),
      '{"a":[1e5,-0.10,12345678901234567890]}',
    );
  });

  it('sorts by code point, not by the units of UTF-16', () => {
    const keys = ['\u{1f600}', '\uff5e', '\u{1f601}', 'z', '\ud7ff', 'zz', ''];
    const text = JSON.stringify(Object.fromEntries(keys.map((key, index) => [key, index])));
    const sorted = Object.keys(JSON.parse(canonicalJson(text)));
    assert.deepEqual(sorted, ['', 'z', 'zz', '\ud7ff', '\uff5e', '\u{1f600}', '\u{1f601}']);
  });

  it('escapes as Python does', () => {
    assert.equal(
      canonicalJson('"\\/\\u0007\\n\\"\u007f\u{1f600}\\ud800"'),
      '"/\\u0007\\n\\"\\u007f\\ud83d\\ude00\\ud800"',
    );
  });

  it('keeps the last of two values of one key', () => {
    assert.equal(canonicalJson('{"a":1,"a":{"b":2}}'), '{"a":{"b":2}}');
  });

  it('is the same for all spellings of the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        assert.equal(canonicalJson(JSON.stringify(value, null, 3)), canonicalJson(text));
        assert.deepEqual(JSON.parse(canonicalJson(text)), JSON.parse(text));
      }),
    );
  });

  it('gives up where a payload is nested too deep, rather than to end the process', () => {
    assert.throws(() => canonicalJson('['.repeat(200_000) + ']'.repeat(200_000)), { code: 'too_deep' });
  });
});

describe('the checksum of an entry', () => {
  const body = (dataText: string, checksum: string) =>
    `{"data": ${dataText}, "metadata": {"headers": {"id":"i","type":"A.B.v1","stream":"s-1"}, "envelope": {"specversion":"1.0","checksum":${checksum}}}}`;

  it('is checked against the text of its payload', () => {
    const dataText = '{"price": 1.0, "note": "ü"}';
    assert.deepEqual(decode(body(dataText, `"${checksumOf(dataText)}"`)).data, { price: 1, note: 'ü' });
    const others = ['{"price": 1, "note": "ü"}', '{"price": 1.0}', '{"price": 1.0, "note": "u"}'];
    for (const other of others) {
      assert.throws(() => decode(body(other, `"${checksumOf(dataText)}"`)), {
        code: 'checksum_mismatch',
        message: 'data is not what metadata.envelope.checksum was made of',
      });
    }
  });

  it('is not checked where it is null', () => assert.deepEqual(decode(body('{}', 'null')).data, {}));

  it('is a fault of the envelope where it is no text', () => {
    assert.throws(() => decode(body('{}', '7')), { code: 'invalid_envelope' });
  });
});
