/**
 * Text for a terminal: lines that are too long go on in the next one, under the column where their last part begins
 * (`  --option   what it does`), else under their own beginning.
 */
export const foldText = (text: string, width: number): string =>
  text
    .split('\n')
    .flatMap((line) => foldLine(line, width))
    .join('\n');

function foldLine(line: string, width: number): readonly string[] {
  if (line.length <= width) return [line];
  const lead = /^(\s*\S+(?: \S+)*? {2,})\S/.exec(line)?.[1] ?? /^(usage: domaind \S+ |\s*)/.exec(line)?.[0] ?? '';
  const indent = ' '.repeat(Math.min(lead.length, Math.floor(width / 2)));
  const lines: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const at = rest.lastIndexOf(' ', width);
    if (at <= indent.length) break;
    lines.push(rest.slice(0, at).trimEnd());
    rest = indent + rest.slice(at + 1);
  }
  return [...lines, rest];
}
