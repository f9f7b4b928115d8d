import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';

/** A JSON Schema, or a part of one. */
export type SchemaNode = boolean | JsonObject;

/** Where something stands in a JSON text: keys of objects and indexes of arrays, from the top. */
export type JsonPath = readonly (string | number)[];

type Form = 'schema' | 'list' | 'map' | 'schema or list' | 'map of schemas or lists of names';

/** The keywords whose values hold schemas, and how. */
const holders: ReadonlyMap<string, Form> = new Map<string, Form>([
  ...['additionalItems', 'additionalProperties', 'contains', 'contentSchema', 'else', 'if', 'not'].map(one('schema')),
  ...['propertyNames', 'then', 'unevaluatedItems', 'unevaluatedProperties'].map(one('schema')),
  ...['allOf', 'anyOf', 'oneOf', 'prefixItems'].map(one('list')),
  ...['$defs', 'definitions', 'dependentSchemas', 'patternProperties', 'properties'].map(one('map')),
  ['items', 'schema or list'],
  ['dependencies', 'map of schemas or lists of names'],
]);

function one(form: Form): (keyword: string) => readonly [string, Form] {
  return (keyword) => [keyword, form];
}

const others: readonly string[] = [
  ...['$anchor', '$comment', '$dynamicAnchor', '$dynamicRef', '$id', '$recursiveAnchor', '$recursiveRef', '$ref'],
  ...['$schema', '$vocabulary', 'const', 'contentEncoding', 'contentMediaType', 'default', 'dependentRequired'],
  ...['deprecated', 'description', 'enum', 'examples', 'exclusiveMaximum', 'exclusiveMinimum', 'format', 'maxContains'],
  ...['maxItems', 'maxLength', 'maxProperties', 'maximum', 'minContains', 'minItems', 'minLength', 'minProperties'],
  ...[
    'minimum',
    'multipleOf',
    'nullable',
    'pattern',
    'readOnly',
    'required',
    'title',
    'type',
    'uniqueItems',
    'writeOnly',
  ],
];

/** Of OpenAPI: said to people, checked by nobody. */
export const annotations: readonly string[] = ['discriminator', 'example', 'externalDocs', 'xml'];

/** Every keyword that a schema may have, besides those that begin with `x-`. */
export const keywords: readonly string[] = [...holders.keys(), ...others, ...annotations];

export const isSchema = (value: Json | undefined): value is SchemaNode => typeof value === 'boolean' || isObject(value);

export interface Part {
  readonly node: SchemaNode;
  /** From the node that it is a part of. */
  readonly path: JsonPath;
}

/** The schemas directly inside of a schema; what only looks like one, in `const` or `examples`, is none. */
export function partsOf(node: SchemaNode): readonly Part[] {
  if (!isObject(node)) return [];
  return Object.entries(node).flatMap(([keyword, value]) => partsIn(keyword, value));
}

function partsIn(keyword: string, value: Json): readonly Part[] {
  if (!holders.has(keyword)) return [];
  const form = holders.get(keyword);
  if (form === 'schema' || (form === 'schema or list' && !Array.isArray(value))) {
    return isSchema(value) ? [{ node: value, path: [keyword] }] : [];
  }
  const entries: readonly (readonly [string | number, Json])[] = Array.isArray(value)
    ? value.map((each: Json, index) => [index, each])
    : Object.entries(isObject(value) ? value : {});
  return entries.flatMap(([key, each]) => (isSchema(each) ? [{ node: each, path: [keyword, key] }] : []));
}
