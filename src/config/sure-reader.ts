import type { Millis } from '../runtime/clock.ts';
import type { Reader } from './reader.ts';
import { type Path, showKey } from './tree.ts';

/** A reader of a validated tree: what it is asked for is there. */
export interface SureReader extends Pick<Reader, 'stated' | 'names'> {
  text(...path: Path): string;
  number(...path: Path): number;
  /** A time, whatever its unit in the file. */
  millis(...path: Path): Millis;
  flag(...path: Path): boolean;
  texts(...path: Path): readonly string[];
  readonly maybe: Pick<Reader, 'text' | 'number' | 'millis'>;
}

/** Throws where a value is missing: that is a fault of the schema or of the validation, not of the file. */
export function createSureReader(reader: Reader): SureReader {
  const sure = <Value>(value: Value | null, path: Path): Value => {
    if (value === null) throw new Error(`the schema has no default for ${showKey(path)}`);
    return value;
  };
  return {
    stated: reader.stated,
    names: reader.names,
    text: (...path) => sure(reader.text(path), path),
    number: (...path) => sure(reader.number(path), path),
    millis: (...path) => sure(reader.millis(path), path),
    flag: (...path) => sure(reader.flag(path), path),
    texts: (...path) => sure(reader.texts(path), path),
    maybe: reader,
  };
}
