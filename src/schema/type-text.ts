import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';
import type { SchemaNode } from './schema-node.ts';
import { isSchema } from './schema-node.ts';

/** The name of the type that a `$ref` is to. */
export type NameOf = (ref: string) => string;

/**
 * The TypeScript type of the values that a schema allows, as far as types can say it: a type with `&` and `|` around it
 * stands in parentheses. Objects are closed unless the schema says what else they may have, so that a field that is
 * misspelt does not compile.
 */
export function typeText(node: SchemaNode, nameOf: NameOf): string {
  if (!isObject(node)) return node === false ? 'never' : 'unknown';
  const { $ref, const: only, enum: choices } = node;
  if (only !== undefined) return literal(only);
  if (Array.isArray(choices)) return union(choices.map(literal));
  const parts = [
    ...(typeof $ref === 'string' ? [nameOf($ref)] : []),
    ...(speaksForItself(node) ? [ownText(node, nameOf)] : []),
    ...schemasIn(node['allOf']).map((each) => typeText(each, nameOf)),
    ...['anyOf', 'oneOf'].flatMap((keyword) => {
      const options = schemasIn(node[keyword]).map((each) => typeText(each, nameOf));
      return options.length === 0 ? [] : [union(options)];
    }),
  ];
  const told = [...new Set(parts)].filter((each) => each !== 'unknown');
  const all = told.length === 0 ? 'unknown' : told.length === 1 ? String(told[0]) : `(${told.join(' & ')})`;
  return node['nullable'] === true ? union([all, 'null']) : all;
}

/** Whether the schema is of an object whose fields are all that there is to say: such a type can be an interface. */
export const isPlainObject = (node: SchemaNode): node is JsonObject =>
  isObject(node) &&
  typesOf(node).join() === 'object' &&
  node['nullable'] !== true &&
  !['$ref', 'const', 'enum', 'allOf', 'anyOf', 'oneOf'].some((keyword) => keyword in node);

const ofObjects = ['properties', 'required', 'additionalProperties', 'patternProperties'];
const ofArrays = ['items', 'prefixItems', 'additionalItems'];

const speaksForItself = (node: JsonObject): boolean => typesOf(node).length > 0;

/** The types that a schema names, or those that its keywords are about. */
function typesOf(node: JsonObject): readonly string[] {
  const { type } = node;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.map(String);
  if (ofObjects.some((keyword) => keyword in node)) return ['object'];
  return ofArrays.some((keyword) => keyword in node) ? ['array'] : [];
}

const ownText = (node: JsonObject, nameOf: NameOf): string =>
  union(typesOf(node).map((type) => textOfType(type, node, nameOf)));

function textOfType(type: string, node: JsonObject, nameOf: NameOf): string {
  switch (type) {
    case 'integer':
      return 'number';
    case 'array':
      return arrayText(node, nameOf);
    case 'object':
      return objectText(node, nameOf);
    default:
      return type;
  }
}

function arrayText(node: JsonObject, nameOf: NameOf): string {
  const { items, prefixItems, additionalItems, minItems } = node;
  const tuple = Array.isArray(items) ? items : prefixItems;
  if (!Array.isArray(tuple)) return listOf(isSchema(items) ? typeText(items, nameOf) : 'unknown');
  const least = typeof minItems === 'number' ? minItems : 0;
  const first = schemasIn(tuple).map((each, index) => `${typeText(each, nameOf)}${index < least ? '' : '?'}`);
  const rest = Array.isArray(items) ? additionalItems : items;
  if (rest === false) return `[${first.join(', ')}]`;
  return `[${[...first, `...${listOf(isSchema(rest) ? typeText(rest, nameOf) : 'unknown')}`].join(', ')}]`;
}

const listOf = (type: string): string => (/^[\w$]+$|^[{([].*[})\]]$/s.test(type) ? `${type}[]` : `(${type})[]`);

/** `{ … }`, its fields on lines of their own; also the body of an interface. */
export function objectText(node: JsonObject, nameOf: NameOf): string {
  const fields = fieldsOf(node);
  const lines = fields.map(({ key, schema, isRequired }) => {
    const type = bare(typeText(schema, nameOf));
    return `${docblock(schema)}${keyText(key)}${isRequired ? '' : '?'}: ${type};`;
  });
  const rest = restText(node, nameOf, fields);
  const all = rest === null ? lines : [...lines, `[key: string]: ${bare(rest)};`];
  return all.length === 0 ? '{ [key: string]: never }' : `{\n${indented(all.join('\n'))}\n}`;
}

interface Field {
  readonly key: string;
  readonly schema: SchemaNode;
  readonly isRequired: boolean;
}

function fieldsOf({ properties, required }: JsonObject): readonly Field[] {
  const needed = new Set(Array.isArray(required) ? required.map(String) : []);
  const named = isObject(properties) ? Object.entries(properties) : [];
  const unnamed = [...needed].filter((key) => !named.some(([each]) => each === key));
  return [
    ...named.flatMap(([key, schema]) => (isSchema(schema) ? [{ key, schema, isRequired: needed.has(key) }] : [])),
    ...unnamed.map((key) => ({ key, schema: true, isRequired: true })),
  ];
}

/** What further fields hold, or null where there are none; the named ones are among them, as TypeScript asks. */
function restText(node: JsonObject, nameOf: NameOf, fields: readonly Field[]): string | null {
  const { additionalProperties: rest, patternProperties: patterns } = node;
  const byPattern = isObject(patterns) ? Object.values(patterns).filter(isSchema) : [];
  const isFree = rest === undefined && fields.length === 0 && byPattern.length === 0;
  const others = [...byPattern, ...(isSchema(rest) && rest !== false ? [rest] : []), ...(isFree ? [true] : [])];
  if (others.length === 0) return null;
  const optional = fields.some(({ isRequired }) => !isRequired) ? ['undefined'] : [];
  return union([
    ...[...others, ...fields.map(({ schema }) => schema)].map((each) => typeText(each, nameOf)),
    ...optional,
  ]);
}

function union(types: readonly string[]): string {
  const all = [...new Set(types)].filter((each) => each !== 'never');
  if (all.includes('unknown')) return 'unknown';
  return all.length <= 1 ? (all[0] ?? 'never') : `(${all.join(' | ')})`;
}

/** The type of one value alone. */
function literal(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, each]) => `${keyText(key)}: ${literal(each)}`);
  return fields.length === 0 ? '{ [key: string]: never }' : `{ ${fields.join('; ')} }`;
}

const schemasIn = (list: Json | undefined): readonly SchemaNode[] =>
  Array.isArray(list) ? (list as readonly Json[]).filter(isSchema) : [];

const keyText = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key));

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');

/** Without parentheses around the whole. */
export function bare(type: string): string {
  if (!type.startsWith('(') || !type.endsWith(')')) return type;
  let depth = 0;
  for (const [at, character] of withoutTexts(type).split('').entries()) {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0;
    if (depth === 0 && at < type.length - 1) return type;
  }
  return type.slice(1, -1);
}

/** As long as before, with nothing left of literals and comments, where brackets mean nothing. */
const withoutTexts = (type: string): string =>
  type.replace(/"(?:[^"\\]|\\.)*"|\/\*.*?\*\//gs, (text) => '_'.repeat(text.length));

/** What a schema says to people, as the lines before its type. */
export function docblock(node: SchemaNode): string {
  if (!isObject(node)) return '';
  const { title, description, deprecated } = node;
  const texts = [title, description].filter((each): each is string => typeof each === 'string' && each.trim() !== '');
  const lines = [...texts, ...(deprecated === true ? ['@deprecated'] : [])].flatMap((text) =>
    text.trim().replaceAll('*/', '*\\/').split(/\r?\n/),
  );
  if (lines.length === 0) return '';
  if (lines.length === 1) return `/** ${lines[0]} */\n`;
  return `/**\n${lines.map((line) => ` * ${line}`.trimEnd()).join('\n')}\n */\n`;
}
