/** The name that was probably meant, or null where none is near: at most one slip for every three characters. */
export function nearest(name: string, names: Iterable<string>): string | null {
  let best: string | null = null;
  let least = Math.floor(Math.max(3, name.length) / 3) + 1;
  for (const each of names) {
    const slips = each.toLowerCase() === name.toLowerCase() ? 0 : distance(name, each);
    if (slips < least) [best, least] = [each, slips];
  }
  return best;
}

/** ` (did you mean "redis"?)`, or nothing. */
export function didYouMean(name: string, names: Iterable<string>): string {
  const best = nearest(name, names);
  return best === null ? '' : ` (did you mean "${best}"?)`;
}

/** Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment). */
export function distance(a: string, b: string): number {
  if (Math.max(a.length, b.length) > 64) return a === b ? 0 : 64;
  let before: readonly number[] = [];
  let above: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + same,
        swapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, above] = [above, current];
  }
  return above[b.length] ?? 0;
}
