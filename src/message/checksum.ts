import { createHash } from 'node:crypto';
import { DecodeError } from '../runtime/errors.ts';

/** Nobody writes such a payload by hand, and no producer with a checksum can: its own writer calls itself for each level. */
const maxDepth = 1_000;

/**
 * The checksum of a payload, as producers write it: SHA-256, in hex, of its JSON with keys sorted by code point, without
 * spaces, in ASCII. Numbers are taken as they stand: `1.0` and `1` differ, and large ones would be rounded by parsing.
 * `text` must be JSON. Throws DecodeError where it is nested deeper than 1,000 levels.
 */
export const checksumOf = (text: string): string => createHash('sha256').update(canonicalJson(text)).digest('hex');

/** The one form that all spellings of the same JSON have; of a key that is there twice, the last value. */
export function canonicalJson(text: string): string {
  let at = 0;

  function space(): void {
    while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  }

  function string(): string {
    const from = at;
    at += 1;
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at += 1;
    return JSON.parse(text.slice(from, at)) as string;
  }

  function scalar(): string {
    const from = at;
    while (at < text.length && !' \t\n\r,]}'.includes(text.charAt(at))) at += 1;
    return text.slice(from, at);
  }

  function object(depth: number): string {
    const members = new Map<string, string>();
    for (let more = opened('}'); more; more = goesOn()) {
      space();
      const key = string();
      space();
      at += 1;
      members.set(key, value(depth));
    }
    const sorted = [...members].sort(([one], [other]) => byCodePoint(one, other));
    return `{${sorted.map(([key, each]) => `${asciiText(key)}:${each}`).join(',')}}`;
  }

  function array(depth: number): string {
    const items: string[] = [];
    for (let more = opened(']'); more; more = goesOn()) items.push(value(depth));
    return `[${items.join(',')}]`;
  }

  /** Steps over the bracket; whether there is something before the one that closes it. */
  function opened(close: string): boolean {
    at += 1;
    space();
    if (text[at] !== close) return true;
    at += 1;
    return false;
  }

  /** Steps over the comma or the closing bracket; whether it was a comma. */
  function goesOn(): boolean {
    space();
    at += 1;
    return text[at - 1] === ',';
  }

  function value(depth: number): string {
    if (depth > maxDepth) {
      throw new DecodeError(
        'too_deep',
        `the payload is nested deeper than ${maxDepth} levels: its checksum is not checked`,
      );
    }
    space();
    const character = text[at];
    if (character === '{') return object(depth + 1);
    if (character === '[') return array(depth + 1);
    return character === '"' ? asciiText(string()) : scalar();
  }

  return value(0);
}

/** As Python writes it: all but printable ASCII as `\uXXXX`, halves of surrogate pairs too. */
const asciiText = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** JavaScript compares by UTF-16 units, which sorts U+1F600 before U+FF5E. */
function byCodePoint(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    if (one.charCodeAt(at) === other.charCodeAt(at)) continue;
    return rank(one, at) - rank(other, at);
  }
  return one.length - other.length;
}

/** The code point that the unit at `at` belongs to, which is greater for the second halves, too. */
function rank(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  const isSecond = unit >= 0xdc00 && unit <= 0xdfff && at > 0 && /[\ud800-\udbff]/.test(text.charAt(at - 1));
  return text.codePointAt(isSecond ? at - 1 : at) ?? unit;
}
