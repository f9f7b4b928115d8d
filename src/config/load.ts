import { basename } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { ConfigError } from '../runtime/errors.ts';
import { excerpt } from './excerpt.ts';
import type { Finding } from './finding.ts';
import { createLocator, type Locator } from './locate.ts';
import { readTextFile } from './text-file.ts';
import type { Path, Table } from './tree.ts';
import { isTable, showKey, valueAt } from './tree.ts';
import { refuseUnsafe } from './unsafe-values.ts';

/** A configuration file, read and parsed. */
export interface Document {
  /** Absolute. */
  readonly file: string;
  /** As faults name it. */
  readonly name: string;
  /** The table that is the configuration: `tool.protean` in pyproject.toml, else the whole file. */
  readonly section: Path;
  readonly root: Table;
  readonly locator: Locator;
  /** What no table may hold, already left out of `root`. */
  readonly findings: readonly Finding[];
}

const maxBytes = 1_048_576;
const maxDepth = 64;

/** The section of a file of this name. */
export const sectionOf = (file: string): Path => (basename(file) === 'pyproject.toml' ? ['tool', 'protean'] : []);

/** Reads one file. Null when it is a pyproject.toml without our section. Throws ConfigError when it cannot be read or is not TOML. */
export function readDocument(file: string, name: string): Document | null {
  const text = readText(file, name);
  refuseControlCharacters(text, name);
  const locator = createLocator(text);
  const parsed = parseToml(text, name, locator);
  const section = sectionOf(file);
  const { tree, findings } = refuseUnsafe(parsed, section);
  const root = valueAt(tree, section);
  return isTable(root) ? { file, name, section, root, locator, findings } : null;
}

function readText(file: string, name: string): string {
  const read = readTextFile(file, maxBytes);
  if (read.kind === 'text') return read.text;
  throw new ConfigError([{ code: read.code, where: name, message: read.reason }]);
}

/** TOML has no place for them, and the parser does not say which byte it was. */
function refuseControlCharacters(text: string, name: string): void {
  const found = /(?![\t\n\r\u0080-\u009f])\p{Cc}/u.exec(text);
  if (found === null) return;
  const before = text.slice(0, found.index);
  const lines = before.split('\n');
  const where = `${name}:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
  const code = found[0].charCodeAt(0).toString(16).padStart(4, '0');
  const message = `holds the control character U+${code} at byte ${Buffer.byteLength(before)}: remove it`;
  throw new ConfigError([{ code: 'control_character', where, message }]);
}

function parseToml(text: string, name: string, locator: Locator): unknown {
  try {
    return parse(text, { maxDepth });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const { line, column } = error;
    const reason = reasonOf(error, text);
    const again = /redefine/.test(reason) ? locator.again(line) : null;
    const sentence = again
      ? `${showKey(again.path)} is stated twice, first at line ${again.first.line}`
      : `syntax error: ${reason}`;
    const message = sentence + excerpt(text, line, column);
    // Not as the cause: the parser's message holds whole lines of the file, passwords included.
    throw new ConfigError([{ code: again ? 'duplicate_key' : 'syntax', where: `${name}:${line}:${column}`, message }]);
  }
}

function reasonOf({ message, line, column }: TomlError, text: string): string {
  const reason = message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? 'invalid TOML';
  const ended = column > (text.split(/\r?\n/)[line - 1]?.length ?? 0);
  // Of control characters, only a line break can still be there.
  return ended && reason.startsWith('control characters') ? 'the string does not end on its line' : reason;
}
