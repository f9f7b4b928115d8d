import { parseArgs } from 'node:util';
import { UsageError } from '../runtime/errors.ts';

/** The options that a command takes: `string` ones need a value, `boolean` ones have none. */
export type OptionTypes = Readonly<Record<string, 'string' | 'boolean'>>;

export interface Arguments {
  readonly positionals: readonly string[];
  text(name: string): string | null;
  flag(name: string): boolean;
  /** A whole number not below `least`, or null where the option is absent. Throws UsageError. */
  number(name: string, least: number): number | null;
}

/** Parses a command's arguments. Throws UsageError for an unknown option, a missing value, or one given twice. */
export function parseArguments(argv: readonly string[], types: OptionTypes, usage: string): Arguments {
  const options = Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type, multiple: true }]));
  let values: Readonly<Record<string, unknown>>;
  let positionals: readonly string[];
  try {
    ({ values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true }));
  } catch (error) {
    const [sentence = ''] = (error as Error).message.split('. To specify');
    throw new UsageError(`${sentence.replace(/\.$/, '')}\nusage: ${usage}`);
  }
  const first = (name: string): unknown => {
    const given = values[name];
    if (!Array.isArray(given)) return undefined;
    if (given.length > 1) throw new UsageError(`--${name} is given ${given.length} times\nusage: ${usage}`);
    return given[0];
  };
  const text = (name: string) => {
    const value = first(name);
    return typeof value === 'string' ? value : null;
  };
  return {
    positionals,
    text,
    flag: (name) => first(name) === true,
    number(name, least) {
      const value = text(name);
      if (value === null) return null;
      const number = Number(value);
      if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= least) return number;
      throw new UsageError(`--${name} must be a whole number not below ${least}, got "${value}"\nusage: ${usage}`);
    },
  };
}
