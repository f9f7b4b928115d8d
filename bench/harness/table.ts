import type { Outcome } from './outcome.ts';

const columns = ['bench', 'what', 'figure', 'target', 'met', 'detail'] as const;

/** The outcomes as a Markdown table, padded so that a terminal shows it straight. */
export function table(outcomes: readonly Outcome[]): string {
  const met = { true: 'yes', false: 'NO', null: '' };
  const rows = outcomes.map((outcome) => ({ ...outcome, met: met[`${outcome.met}`] }));
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  return [
    line(columns),
    `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`,
    ...rows.map((row) => line(columns.map((column) => row[column]))),
  ].join('\n');
}
