/** The parts of `<Camel>.<Class>.v<n>`. */
export interface TypeName {
  readonly domain: string;
  readonly name: string;
  readonly version: number;
}

const grammar = /^([A-Za-z0-9_]+)\.([A-Za-z_][A-Za-z0-9_]*)\.v([0-9]{1,9})$/;

/** The parts of a message's type, or null where it is not of that form. */
export function parseTypeName(type: string): TypeName | null {
  const [, domain, name, version] = grammar.exec(type) ?? [];
  return domain === undefined || name === undefined ? null : { domain, name, version: Number(version) };
}

/** `Bookshelf`, `OrderPlaced`, 1 → `Bookshelf.OrderPlaced.v1`. */
export const formatTypeName = ({ domain, name, version }: TypeName): string => `${domain}.${name}.v${version}`;

/** Whether a message may be named so: a class name of any language, as in `handles` and `raise`. */
export const isMessageName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name);
