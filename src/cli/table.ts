/** A table for people: columns as wide as they must be, cut at the terminal's edge. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[], width: number): string {
  const clean = [headings, ...rows].map((row) => row.map(printable));
  const widths = headings.map((_, column) => Math.max(...clean.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const cut = (text: string) => (text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text);
  return clean.map((row) => cut(line(row))).join('\n');
}

/** Names come from users and from Redis: control characters must not reach a terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
