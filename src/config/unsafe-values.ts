import { aboutKey, aboutTable, type Finding } from './finding.ts';
import type { Path, Table, TomlValue } from './tree.ts';
import { isTable, tableOf } from './tree.ts';

/** Keys that JavaScript objects inherit through: a merge that is not careful changes every object with them. */
const reserved: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** A parsed document without what no table may hold: keys of JavaScript's own, `nan`, `inf`, dates. Outside `section`, nothing is told. */
export function refuseUnsafe(parsed: unknown, section: Path): { readonly tree: Table; readonly findings: Finding[] } {
  const findings: Finding[] = [];
  const tell = (finding: Finding) => {
    const inside = section.every((step, index) => finding.path[index] === step);
    if (inside) findings.push({ ...finding, path: finding.path.slice(section.length) });
  };

  function keep(value: unknown, path: Path): TomlValue | null {
    if (typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number') {
      if (Number.isFinite(value)) return value;
      tell(
        aboutKey(
          'not_finite',
          path,
          `${String(value).toLowerCase().replace('infinity', 'inf')} is not a number to use`,
        ),
      );
      return null;
    }
    if (Array.isArray(value)) return keepAll(value, path);
    if (value instanceof Date) {
      tell(aboutKey('date', path, 'dates are not used here: write it as a string'));
      return null;
    }
    return isTable(value) ? keepTable(value, path) : null;
  }

  const keepAll = (values: readonly unknown[], path: Path): TomlValue[] =>
    values.map((each, index) => keep(each, [...path, index])).filter((each) => each !== null);

  function keepTable(table: Table, path: Path): Table {
    const entries: (readonly [string, TomlValue])[] = [];
    for (const [key, each] of Object.entries(table)) {
      if (reserved.has(key)) {
        const about = isTable(each) ? aboutTable : aboutKey;
        tell(about('reserved_key', [...path, key], 'may not be the name of a key'));
        continue;
      }
      const kept = keep(each, [...path, key]);
      if (kept !== null) entries.push([key, kept]);
    }
    return tableOf(entries);
  }

  return { tree: isTable(parsed) ? keepTable(parsed, []) : tableOf([]), findings };
}
