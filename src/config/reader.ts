import { nodeAt } from './schema.ts';
import { isTable, type Path, type Table, type TomlValue, valueAt } from './tree.ts';
import { toMillis } from './units.ts';

/** Reads settings from an effective configuration: what the file states, else the schema's default. */
export interface Reader {
  stated(path: Path): TomlValue | undefined;
  /** Null where it is neither stated nor has a default, or where it is of another type. */
  text(path: Path): string | null;
  number(path: Path): number | null;
  /** A time, whatever its unit in the file. */
  millis(path: Path): number | null;
  flag(path: Path): boolean | null;
  texts(path: Path): readonly string[] | null;
  /** The names of the tables at `path`: of brokers, of profiles, … */
  names(path: Path): readonly string[];
}

export function createReader(tree: Table): Reader {
  const stated = (path: Path) => valueAt(tree, path);
  const value = (path: Path) => stated(path) ?? nodeAt(path)?.default;
  const number = (path: Path) => {
    const found = value(path);
    return typeof found === 'number' ? found : null;
  };
  return {
    stated,
    number,
    text(path) {
      const found = value(path);
      return typeof found === 'string' ? found : null;
    },
    millis(path) {
      const found = number(path);
      return found === null ? null : toMillis(found, nodeAt(path));
    },
    flag(path) {
      const found = value(path);
      return typeof found === 'boolean' ? found : null;
    },
    texts(path) {
      const found = value(path);
      if (!Array.isArray(found)) return null;
      return (found as readonly TomlValue[]).filter((each) => typeof each === 'string');
    },
    names(path) {
      const found = stated(path);
      return isTable(found) ? Object.keys(found).filter((key) => isTable(found[key])) : [];
    },
  };
}
