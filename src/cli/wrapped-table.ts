import { formatTable } from './table.ts';

const gap = 2;

/** A column is not made narrower than this. */
const least = 10;

/**
 * A table of which nothing is cut: where it is wider than the terminal, its widest columns are made narrower and their
 * cells go on in the next line.
 */
export function wrappedTable(headings: readonly string[], rows: readonly (readonly string[])[], width: number): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const room = width - gap * (headings.length - 1);
  while (sum(widths) > room) {
    const widest = widths.indexOf(Math.max(...widths));
    const now = widths[widest] ?? 0;
    if (now <= least) break;
    widths[widest] = now - 1;
  }
  const lines = rows.flatMap((row) => {
    const cells = row.map((cell, column) => wrapped(cell, widths[column] ?? least));
    const height = Math.max(...cells.map((parts) => parts.length));
    return Array.from({ length: height }, (_, line) => cells.map((parts) => parts[line] ?? ''));
  });
  return formatTable(headings, lines, Number.POSITIVE_INFINITY);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Broken behind a comma, a colon, a dot or a space where there is one in the later half, else anywhere. */
function wrapped(text: string, width: number): readonly string[] {
  const parts: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const at = Math.max(...[' ', ',', ':', '.', '_'].map((mark) => rest.lastIndexOf(mark, width - 1))) + 1;
    const end = at > width / 2 ? at : width;
    parts.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end);
  }
  return [...parts, rest];
}
