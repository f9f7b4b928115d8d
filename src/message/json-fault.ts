/** A place in a text. */
export interface TextPlace {
  /** In UTF-16 units, from 0. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** What may come next. */
type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or ]' | ', or }' | 'end';

/**
 * Where `text` ceases to be JSON (RFC 8259), or null where it is JSON. JSON.parse says so in some of its messages only,
 * and then beside a piece of the text, which may be secret.
 */
export function jsonFault(text: string): TextPlace | null {
  const offset = faultOffset(text);
  if (offset === null) return null;
  const before = text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function faultOffset(text: string): number | null {
  const open: ('[' | '{')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  const afterValue = (): Expected => {
    const container = open.at(-1);
    return container === undefined ? 'end' : container === '[' ? ', or ]' : ', or }';
  };
  for (;;) {
    at = skipSpace(text, at);
    const character = text[at];
    if (character === undefined) return expected === 'end' ? null : at;
    const closes: boolean =
      (character === ']' && expected.endsWith(']')) || (character === '}' && expected.endsWith('}'));
    if (closes) {
      open.pop();
      expected = afterValue();
      at += 1;
    } else if (expected === ':' || expected.startsWith(',')) {
      if (character !== expected[0]) return at;
      expected = expected === ', or }' ? 'key' : 'value';
      at += 1;
    } else if (expected.startsWith('key')) {
      const end = character === '"' ? stringEnd(text, at) : ~at;
      if (end < 0) return ~end;
      expected = ':';
      at = end;
    } else if (expected === 'end') return at;
    else if (character === '[' || character === '{') {
      open.push(character);
      expected = character === '[' ? 'value or ]' : 'key or }';
      at += 1;
    } else {
      const end = character === '"' ? stringEnd(text, at) : scalarEnd(text, at);
      if (end < 0) return ~end;
      expected = afterValue();
      at = end;
    }
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  return at;
}

/** The offset behind the string that begins at `from`; the complement of the fault's offset where it is no string. */
function stringEnd(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === '"') return at + 1;
    if (character < ' ') return ~at;
    if (character !== '\\') at += 1;
    else if (/^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at + 1, at + 6))) at += text[at + 1] === 'u' ? 6 : 2;
    else return ~at;
  }
  return ~at;
}

const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** The same for a number or a word. */
function scalarEnd(text: string, from: number): number {
  scalar.lastIndex = from;
  return scalar.test(text) ? scalar.lastIndex : ~from;
}
