import { readFileSync } from 'node:fs';
import type { Path } from './tree.ts';

/** The parts of config/domain.schema.json that the code reads. The `x-` annotations are ours. */
export interface SchemaNode {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly default?: string | number | boolean | readonly string[];
  readonly examples?: readonly (string | number | boolean | readonly string[])[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly items?: SchemaNode;
  readonly properties?: { readonly [key: string]: SchemaNode };
  readonly additionalProperties?: boolean | SchemaNode;
  readonly propertyNames?: SchemaNode;
  readonly definitions?: { readonly [name: string]: SchemaNode };
  /** What the number counts: `milliseconds`, `seconds`, `hours` are times, the rest is for people. */
  readonly 'x-unit'?: string;
  /** The default in words, where it is not a fixed value. */
  readonly 'x-default'?: string;
  /** The grammar of `pattern` in words. */
  readonly 'x-expects'?: string;
  /** The value is a URI of this kind, and may hold a password. */
  readonly 'x-uri'?: 'redis' | 'postgresql';
  /** The value is a secret. */
  readonly 'x-secret'?: boolean;
  /** The key is another spelling of this one. */
  readonly 'x-alias-of'?: string;
  /** Each table of this name must state it. Not `required`, since an overlay need not. */
  readonly 'x-required'?: boolean;
  /** This version reads it and does nothing with it. */
  readonly 'x-without-effect'?: boolean;
  /** This version does nothing with other values than these. */
  readonly 'x-effect-only'?: readonly (string | number)[];
}

/** The schema as the package ships it, for ajv, for editors, and for `domaind config schema`. The only place of defaults. */
export const schemaText: string = readFileSync(new URL('../../config/domain.schema.json', import.meta.url), 'utf8');
export const domainSchema: SchemaNode = JSON.parse(schemaText) as SchemaNode;

const definitions = new Map(Object.entries(domainSchema.definitions ?? {}));

/** The node that a `$ref` stands for. */
export function dereference(node: SchemaNode): SchemaNode {
  if (node.$ref === undefined) return node;
  return definitions.get(node.$ref.replace('#/definitions/', '')) ?? domainSchema;
}

/** The node of one key of a table, or of an element of an array; null where the schema knows none. */
export function childOf(node: SchemaNode, step: string | number): SchemaNode | null {
  if (typeof step === 'number') return node.items ? dereference(node.items) : null;
  const { properties = {}, additionalProperties } = node;
  const child = Object.hasOwn(properties, step) ? properties[step] : undefined;
  if (child) return dereference(child);
  // At the top, further tables are overlays, which are laid over the rest before anyone asks.
  if (node === domainSchema || typeof additionalProperties !== 'object') return null;
  return dereference(additionalProperties);
}

export function nodeAt(path: Path): SchemaNode | null {
  let at: SchemaNode | null = domainSchema;
  for (const step of path) at = at && childOf(at, step);
  return at;
}

/** The keys that a table may have by name. */
export const keysOf = (node: SchemaNode): readonly string[] => Object.keys(node.properties ?? {});

/** Whether a table takes any key at all: `[custom]`. */
export const isFree = (node: SchemaNode): boolean => node.additionalProperties === true;

/** The names of a value's types: `string`, `integer`, `array`, … */
export const typesOf = (node: SchemaNode): readonly string[] =>
  typeof node.type === 'string' ? [node.type] : (node.type ?? []);
