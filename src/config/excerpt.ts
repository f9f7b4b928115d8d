import { isSecretName } from './secrets.ts';

/**
 * The line of a text with a caret under the column, for a syntax error. What may be a secret is covered by as many
 * stars: a password with a quote in it is a common syntax error.
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

const header = /^\s*\[[^"'=]*$/;
const pair = /^([^="']*=)(.*)$/;
const plainToken = /^\s*[A-Za-z0-9_.+-]{0,24}\s*$/;

/**
 * A line with stars for all that may be a secret. In a line that is broken nobody can tell what was meant to be quoted,
 * so only table headers, keys before `=` and short values without quotes are shown; of the rest, the punctuation.
 */
function cover(line: string): string {
  if (header.test(line)) return line;
  const [, key = '', value = line] = pair.exec(line) ?? [];
  const isShown = key !== '' && plainToken.test(value) && !isSecretName(key);
  return key + (isShown ? value : value.replace(/[^\s"'=[\]{},#]/g, '*'));
}
