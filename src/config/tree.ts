/** What a TOML document holds, dates left out. Tables have no prototype, so that a key is only ever what the file states. */
export type TomlValue = string | number | boolean | readonly TomlValue[] | Table;
export interface Table {
  readonly [key: string]: TomlValue;
}

/** Where a value stands: keys, and numbers for the elements of arrays. */
export type Path = readonly (string | number)[];

export const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A table of these entries. A plain object would take `__proto__` for its prototype. */
export function tableOf(entries: Iterable<readonly [string, TomlValue]>): Table {
  const table: Record<string, TomlValue> = Object.create(null);
  for (const [key, value] of entries) table[key] = value;
  return Object.freeze(table);
}

/** A path as the key of a map. */
export const keyOf = (path: Path): string => JSON.stringify(path);

/** The value at `path`, or undefined where the tree has none. */
export function valueAt(tree: TomlValue, path: Path): TomlValue | undefined {
  let at: TomlValue | undefined = tree;
  for (const step of path) {
    if (Array.isArray(at)) at = typeof step === 'number' ? (at as readonly TomlValue[])[step] : undefined;
    else if (isTable(at)) at = at[String(step)];
    else return undefined;
  }
  return at;
}

/** The tree with each value that is no table replaced by what `change` makes of it, in the order of the file. */
export function mapValues(
  value: TomlValue,
  change: (value: string | number | boolean, path: Path) => TomlValue,
  path: Path = [],
): TomlValue {
  if (Array.isArray(value)) {
    return (value as readonly TomlValue[]).map((each, index) => mapValues(each, change, [...path, index]));
  }
  if (isTable(value)) {
    return tableOf(Object.entries(value).map(([key, each]) => [key, mapValues(each, change, [...path, key])]));
  }
  return change(value as string | number | boolean, path);
}

/** Each value that is stated, an array being one, with its path, in the order of the file. */
export function* leavesOf(value: TomlValue, path: Path = []): Generator<readonly [Path, TomlValue]> {
  if (!isTable(value)) yield [path, value];
  else for (const [key, each] of Object.entries(value)) yield* leavesOf(each, [...path, key]);
}

const bare = /^[A-Za-z0-9_-]+$/;
const shownKey = (key: string | number): string => (bare.test(String(key)) ? String(key) : JSON.stringify(key));

/** `[brokers.default] URI`, `event_processing`, `[server.transient_retry] exceptions[2]`: a value as its reader looks for it. */
export function showKey(path: Path): string {
  const last = path.findLastIndex((step) => typeof step === 'string');
  const indices = path.slice(last + 1).map((index) => `[${index}]`);
  const key = `${path.slice(last, last + 1).map(shownKey)}${indices.join('')}`;
  return last > 0 ? `${showTable(path.slice(0, last))} ${key}` : key;
}

/** `[brokers.default]`. */
export const showTable = (path: Path): string => `[${path.map(shownKey).join('.')}]`;
