import type { Io } from './io.ts';
import { formatTable } from './table.ts';

/** Cut at the edge of a terminal; whole where it goes into a file or another program. */
export const table = (io: Io, headings: readonly string[], rows: readonly (readonly string[])[]): string =>
  formatTable(headings, rows, io.isTty ? io.width : Number.POSITIVE_INFINITY);

/** Facts of one thing, one a line and uncut: `stream    bookshelf::order`. */
export function facts(io: Io, pairs: readonly (readonly [name: string, value: string | null])[]): void {
  const [first = [], ...rest] = pairs.map(([name, value]) => [name, value ?? '-']);
  io.out(formatTable(first, rest, Number.POSITIVE_INFINITY));
}
