/** Where a member stands in the text of a JSON object: its key from `from`, its value from `start` to before `end`. */
export interface MemberSpan {
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The last member called `key` of the object that begins at the offset `at`, null where there is none: so that one value
 * can be taken out or put in while the rest of the text stays as it is, to the byte. `text` must be JSON.
 */
export function memberIn(text: string, key: string, at = 0): MemberSpan | null {
  let found: MemberSpan | null = null;
  let position = skipSpace(text, at);
  if (text[position] !== '{') return null;
  position = skipSpace(text, position + 1);
  while (text[position] === '"') {
    const from = position;
    const keyEnd = valueEnd(text, from);
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = valueEnd(text, start);
    if (JSON.parse(text.slice(from, keyEnd)) === key) found = { from, start, end };
    position = skipSpace(text, end);
    if (text[position] === ',') position = skipSpace(text, position + 1);
  }
  return found;
}

/** The element at `index` of the array that begins at the offset `at`, null where there is none. `text` must be JSON. */
export function elementIn(text: string, index: number, at = 0): MemberSpan | null {
  let position = skipSpace(text, at);
  if (text[position] !== '[') return null;
  position = skipSpace(text, position + 1);
  for (let count = 0; text[position] !== ']'; count += 1) {
    const end = valueEnd(text, position);
    if (count === index) return { from: position, start: position, end };
    position = skipSpace(text, end);
    if (text[position] === ',') position = skipSpace(text, position + 1);
  }
  return null;
}

/** The text without this member, and without the comma that set it apart. */
export function withoutMember(text: string, { from, end }: MemberSpan): string {
  const before = text.slice(0, from).trimEnd();
  const after = text.slice(end).trimStart();
  if (before.endsWith(',')) return before.slice(0, -1).trimEnd() + after;
  return before + (after.startsWith(',') ? after.slice(1).trimStart() : after);
}

/** The text with `value`, which is JSON, in the place of this member's. */
export const withValue = (text: string, { start, end }: MemberSpan, value: string): string =>
  text.slice(0, start) + value + text.slice(end);

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  return at;
}

/** The offset behind the value that begins at `from`. */
function valueEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = stringEnd(text, at) - 1;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    else if (depth > 0 || (character !== ',' && !' \t\n\r'.includes(character ?? ''))) continue;
    if (depth > 0) continue;
    if (depth < 0 || character === ',' || ' \t\n\r'.includes(character ?? '')) return at;
    return at + 1;
  }
  return text.length;
}

function stringEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}
