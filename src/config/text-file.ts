import { readFileSync, statSync } from 'node:fs';

export type TextFile =
  | { readonly kind: 'text'; readonly text: string }
  /** `reason` goes after the file's name. `offset`: the byte at fault, where it is one. */
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string; readonly offset: number | null };

/** The text of a file of at most `limit` bytes, without its byte-order mark. Reads nothing of what it refuses. */
export function readTextFile(file: string, limit: number): TextFile {
  try {
    const stats = statSync(file);
    if (stats.isDirectory()) return refused('unreadable', 'is a directory');
    // A pipe or a device may never end.
    if (!stats.isFile()) return refused('unreadable', 'is not a regular file');
    if (stats.size > limit) return refused('too_large', `is larger than ${limit} bytes (${stats.size})`);
    return decode(readFileSync(file));
  } catch (error) {
    return refused('unreadable', reasonOf(error));
  }
}

/** Why a file could not be read, as the end of a sentence that begins with its name. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons.get(code) ?? `cannot be read (${code || 'unknown reason'})`;
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'does not exist: a part of its path is a file'],
  ['EACCES', 'may not be read: permission denied'],
  ['EPERM', 'may not be read: permission denied'],
  ['ELOOP', 'is a symbolic link to itself'],
  ['ENAMETOOLONG', 'has a name that is too long'],
  ['EISDIR', 'is a directory'],
]);

const refused = (code: string, reason: string, offset: number | null = null): TextFile => ({
  kind: 'refused',
  code,
  reason,
  offset,
});

function decode(bytes: Buffer): TextFile {
  const offset = firstInvalidByte(bytes);
  if (offset === null) return { kind: 'text', text: bytes.toString('utf8').replace(/^\ufeff/, '') };
  const utf16 = offset === 0 && ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff));
  const hint = utf16 ? ': it seems to be UTF-16, save it as UTF-8' : '';
  return refused('not_utf8', `is not UTF-8 at byte ${offset}${hint}`, offset);
}

/** The offset of the first byte that is not UTF-8: where decoding puts U+FFFD and the bytes do not say U+FFFD. */
function firstInvalidByte(bytes: Buffer): number | null {
  let at = 0;
  for (const char of bytes.toString('utf8')) {
    if (char === '\ufffd' && !(bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd)) return at;
    at += Buffer.byteLength(char);
  }
  return null;
}
