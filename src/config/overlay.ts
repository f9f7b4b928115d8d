import { canonical } from './aliases.ts';
import { aboutKey, aboutTable, type Finding } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { domainSchema, keysOf } from './schema.ts';
import { isTable, keyOf, type Path, type Table, type TomlValue, tableOf } from './tree.ts';

/** The file with the overlay that was asked for laid over it. */
export interface Layered {
  readonly tree: Table;
  /** By keyOf(path): where a value of `tree` is written in the file, where that is elsewhere: in the overlay, or under an alias. */
  readonly written: ReadonlyMap<string, Path>;
  readonly findings: readonly Finding[];
  /** Every overlay of the file. */
  readonly overlays: ReadonlyMap<string, Table>;
}

const known: ReadonlySet<string> = new Set(keysOf(domainSchema));

/**
 * Lays the overlay `[<env>.…]` over the rest of the file: tables merge, scalars and arrays replace. A table that the
 * schema does not know is an overlay when it is the one asked for, or when it holds something that the file itself may hold.
 */
export function layer(root: Table, env: string | null): Layered {
  const base: [string, TomlValue][] = [];
  const overlays = new Map<string, Table>();
  const findings: Finding[] = [];
  for (const [key, value] of Object.entries(root)) {
    if (known.has(key)) base.push([key, value]);
    else if (isTable(value) && isOverlay(key, value, env)) overlays.set(key, value);
    else findings.push(unknownTopLevel(key, value));
  }
  const written = new Map<string, Path>();
  const rest = canonical(tableOf(base), [], written, findings);
  const overlay = env === null ? undefined : overlays.get(env);
  if (env === null || overlay === undefined) return { tree: rest, written, findings, overlays };
  const above = canonical(overlayKeys(overlay, env, findings), [env], written, findings);
  return { tree: merge(rest, above, [], env, written), written, findings, overlays };
}

const isOverlay = (name: string, table: Table, env: string | null): boolean =>
  name === env || Object.keys(table).some((key) => known.has(key));

function unknownTopLevel(key: string, value: TomlValue): Finding {
  const hint = didYouMean(key, known);
  if (isTable(value)) return aboutTable('unknown_key', [key], `unknown table${hint}`);
  return aboutKey('unknown_key', [key], `unknown key${hint}`);
}

/** What an overlay may hold; the rest is told. */
function overlayKeys(overlay: Table, env: string, findings: Finding[]): Table {
  const entries = Object.entries(overlay);
  for (const [key, value] of entries) {
    if (known.has(key)) continue;
    const finding = unknownTopLevel(key, value);
    findings.push({ ...finding, path: [env, ...finding.path] });
  }
  return tableOf(entries.filter(([key]) => known.has(key)));
}

function merge(below: Table, above: Table, path: Path, env: string, written: Map<string, Path>): Table {
  const merged = new Map(Object.entries(below));
  for (const [key, value] of Object.entries(above)) {
    const at = [...path, key];
    const under = merged.get(key);
    if (isTable(value) && isTable(under)) merged.set(key, merge(under, value, at, env, written));
    else {
      merged.set(key, value);
      note(value, at, env, written);
    }
  }
  return tableOf(merged);
}

/** Remembers that `value` and all below it is written in the overlay; a key under an alias is noted already. */
function note(value: TomlValue, path: Path, env: string, written: Map<string, Path>): void {
  const alias = written.get(keyOf([env, ...path]));
  written.set(keyOf(path), alias ?? [env, ...path]);
  if (isTable(value)) for (const [key, each] of Object.entries(value)) note(each, [...path, key], env, written);
}

/** Where a value of the effective configuration is written in the file, overlay and alias included. */
export function writtenPath(written: ReadonlyMap<string, Path>, path: Path): Path {
  for (let length = path.length; length > 0; length -= 1) {
    const found = written.get(keyOf(path.slice(0, length)));
    if (found) return [...found, ...path.slice(length)];
  }
  return path;
}

/** What an overlay that is not in force holds wrong, as far as can be told without its variables. */
export function overlayAlone(
  name: string,
  overlay: Table,
): { readonly tree: Table; readonly written: ReadonlyMap<string, Path>; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const written = new Map<string, Path>();
  const alone = canonical(overlayKeys(overlay, name, findings), [name], written, findings);
  return { tree: merge(tableOf([]), alone, [], name, written), written, findings };
}
