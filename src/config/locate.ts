import { keyOf, type Path } from './tree.ts';

/** A place in a text, both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Locator {
  /** Where `path` is stated, or the nearest table above it; the beginning of the file where nothing is. */
  at(path: Path): Position;
  /** What is stated again on `line`: the path, and where it was stated first. */
  again(line: number): { readonly path: Path; readonly first: Position } | null;
}

/**
 * Finds the keys of a TOML document in its text: in tables, dotted keys, inline tables, arrays and arrays of tables.
 * The parser has no positions. This reads only as much as it must, and of a broken document the part before the fault.
 */
export function createLocator(text: string): Locator {
  const { offsets, repeated } = scan(text);
  const starts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
  const position = (offset: number): Position => {
    let line = 0;
    // By halves: a file may have as many faults as lines.
    for (let end = starts.length; end - line > 1; ) {
      const middle = Math.floor((line + end) / 2);
      if ((starts[middle] ?? 0) <= offset) line = middle;
      else end = middle;
    }
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 };
  };
  return {
    at(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const offset = offsets.get(keyOf(path.slice(0, length)));
        if (offset !== undefined) return position(offset);
      }
      return { line: 1, column: 1 };
    },
    again(line) {
      const found = repeated.find(({ offset }) => position(offset).line === line);
      return found ? { path: found.path, first: position(found.first) } : null;
    },
  };
}

interface Scan {
  /** By keyOf(path): where the key begins. */
  readonly offsets: ReadonlyMap<string, number>;
  readonly repeated: readonly { readonly path: Path; readonly first: number; readonly offset: number }[];
}

const blank = /[ \t]*/y;
const blankLines = /(?:[ \t\r\n]+|#[^\n]*)*/y;
const bareKey = /[A-Za-z0-9_-]+/y;
const strings = [
  /"""[^"\\]*(?:(?:\\[\s\S]|"{1,2}(?!"))[^"\\]*)*"{3,5}/y,
  /'''(?:[^']|'{1,2}(?!'))*'{3,5}/y,
  /"[^"\\\n]*(?:\\.[^"\\\n]*)*"/y,
  /'[^'\n]*'/y,
] as const;
const scalar = /[^,\]}#\n]*/y;

function scan(text: string): Scan {
  const offsets = new Map<string, number>();
  const repeated: { path: Path; first: number; offset: number }[] = [];
  const elements = new Map<string, number>();
  let at = 0;

  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found?.[0] ?? null;
  };
  const takeString = () => strings.reduce<string | null>((found, pattern) => found ?? take(pattern), null);
  const skip = (token: string) => {
    const there = text.startsWith(token, at);
    if (there) at += token.length;
    return there;
  };
  const mark = (path: Path, offset: number, stated: boolean) => {
    const first = offsets.get(keyOf(path));
    if (first === undefined) offsets.set(keyOf(path), offset);
    else if (stated) repeated.push({ path, first, offset });
  };

  /** `a."b c".d`, or null where there is no key. */
  function takeKey(): readonly { readonly name: string; readonly offset: number }[] | null {
    const parts: { name: string; offset: number }[] = [];
    do {
      take(blank);
      const offset = at;
      const name = take(bareKey) ?? unquote(takeString());
      if (name === null) return null;
      parts.push({ name, offset });
      take(blank);
    } while (skip('.'));
    return parts;
  }

  function takePair(table: Path): boolean {
    const parts = takeKey();
    if (parts === null || !skip('=')) return false;
    let path = table;
    for (const [index, { name, offset }] of parts.entries()) {
      path = [...path, name];
      mark(path, offset, index === parts.length - 1);
    }
    take(blank);
    return takeValue(path);
  }

  function takeValue(path: Path): boolean {
    if (skip('[')) return takeElements(path);
    if (skip('{')) return takeList('}', () => takePair(path));
    return takeString() !== null || take(scalar) !== null;
  }

  function takeElements(path: Path): boolean {
    let index = 0;
    return takeList(']', () => {
      const element = [...path, index];
      index += 1;
      mark(element, at, false);
      return takeValue(element);
    });
  }

  function takeList(end: string, takeEach: () => boolean): boolean {
    for (;;) {
      take(blankLines);
      if (skip(end)) return true;
      const before = at;
      if (!takeEach()) return false;
      take(blankLines);
      if (!skip(',') && !text.startsWith(end, at)) return false;
      if (at === before) return false;
    }
  }

  /** The path that a header opens, with the index of the last element for each array of tables on the way. */
  function takeHeader(array: boolean): Path | null {
    const parts = takeKey();
    if (parts === null || !skip(array ? ']]' : ']')) return null;
    let path: Path = [];
    for (const [index, { name, offset }] of parts.entries()) {
      const last = index === parts.length - 1;
      path = [...path, name];
      const count = elements.get(keyOf(path)) ?? 0;
      mark(path, offset, last && !array);
      if (last && array) elements.set(keyOf(path), count + 1);
      if (last ? array : count > 0) {
        path = [...path, last ? count : count - 1];
        mark(path, offset, false);
      }
    }
    return path;
  }

  let table: Path = [];
  for (;;) {
    take(blankLines);
    if (at >= text.length) break;
    if (skip('[')) {
      const opened = takeHeader(skip('['));
      if (opened === null) break;
      table = opened;
    } else if (!takePair(table)) break;
  }
  return { offsets, repeated };
}

/** The name in a quoted key; null for none, or for one that no parser would take. */
function unquote(quoted: string | null): string | null {
  if (quoted === null || quoted.startsWith('"""') || quoted.startsWith("'''")) return null;
  if (quoted.startsWith("'")) return quoted.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\u001b' };
  return quoted
    .slice(1, -1)
    .replace(/\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))/g, (_, ...found) => {
      const [short, long, byte, char] = found as (string | undefined)[];
      const point = Number.parseInt(short ?? long ?? byte ?? '0', 16);
      return char === undefined ? String.fromCodePoint(Math.min(point, 0x10ffff)) : (escapes[char] ?? char);
    });
}
