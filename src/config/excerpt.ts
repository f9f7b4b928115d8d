import { isSecretName } from './secrets.ts';

/**
 * The line of a text with a caret under the column, for a syntax error. What may be a secret is covered by as many
 * stars, since a password with a quote in it is a common syntax error.
 */
export function excerpt(text: string, line: number, column: number): string {
  const source = (text.split('\n')[line - 1] ?? '').replace(/\r$/, '').replace(/\t/g, ' ');
  const covered = cover(source).replace(/\p{Cc}/gu, '·');
  // A long line is cut to a window around the column.
  const from = Math.max(0, column - 80);
  const gutter = ' '.repeat(String(line).length);
  const shown = `${from > 0 ? '…' : ''}${covered.slice(from, from + 100)}${covered.length > from + 100 ? '…' : ''}`;
  const caret = ' '.repeat(column - 1 - from + (from > 0 ? 1 : 0));
  return `\n  ${line} | ${shown}\n  ${gutter} | ${caret}^`;
}

const stars = (text: string): string => '*'.repeat(text.length);

function cover(line: string): string {
  const [, key = '', equals = '', value = ''] = /^([^=]*)(=\s*)(.*)$/.exec(line) ?? [];
  if (equals !== '' && isSecretName(key)) return `${key}${equals}${stars(value)}`;
  return line
    .replace(/(:\/\/)(.*)$/, (_, slashes: string, rest: string) => slashes + stars(rest))
    .replace(/((?:password|passwd|pwd)\s*=\s*)(\S+)/gi, (_, name: string, rest: string) => name + stars(rest));
}
