import { isObject } from '../message/codec.ts';
import type { Json } from '../message/message.ts';
import type { JsonPath, SchemaNode } from './schema-node.ts';
import { isSchema } from './schema-node.ts';

/** What a schema names at one place of a payload, by all of its parts together. Made when first looked at. */
interface Position {
  readonly names: ReadonlyMap<string, Position>;
  readonly patterns: readonly { readonly pattern: RegExp; readonly position: Position }[];
  /** Of names that are none of these; null where such a name is unknown. */
  readonly rest: Position | null;
  /** By index, then for all further ones. */
  readonly first: readonly Position[];
  readonly items: Position;
}

export interface UnknownFields {
  /** The path of the first field that the schema does not name, or null. */
  find(data: Json): JsonPath | null;
  /** Takes all of them out; whether there were any. Changes `data`, which must be nobody else's. */
  strip(data: Json): boolean;
}

type Targets = ReadonlyMap<string, SchemaNode>;

/**
 * The fields of a payload that no part of its schema names. Where a schema names none at all, or says that there may be
 * others by `additionalProperties`, any are known.
 */
export function createUnknownFields(root: SchemaNode, targets: Targets): UnknownFields {
  const positionOf = createPositions(targets);
  const top = positionOf([root]);
  return {
    find(data) {
      let found: JsonPath | null = null;
      visit(data, top, [], (_owner, _key, path) => {
        found ??= path;
        return found === null;
      });
      return found;
    },
    strip(data) {
      let any = false;
      visit(data, top, [], (owner, key) => {
        any = true;
        delete owner[key];
        return true;
      });
      return any;
    },
  };
}

type Told = (owner: Record<string, Json>, key: string, path: JsonPath) => boolean;

/** Calls `told` for every unknown field until it answers false. Not recursive: a payload may be nested as deep as it likes. */
function visit(data: Json, top: Position, from: JsonPath, told: Told): void {
  const open: { readonly value: Json; readonly position: Position; readonly path: JsonPath }[] = [
    { value: data, position: top, path: from },
  ];
  for (let task = open.pop(); task !== undefined; task = open.pop()) {
    const { value, position, path } = task;
    if (Array.isArray(value)) {
      const items: readonly Json[] = value;
      for (const [index, each] of items.entries()) {
        if (typeof each !== 'object' || each === null) continue;
        open.push({ value: each, position: position.first[index] ?? position.items, path: [...path, index] });
      }
      continue;
    }
    if (!isObject(value)) continue;
    for (const [key, each] of Object.entries(value)) {
      const below = fieldOf(position, key);
      if (below === null) {
        if (!told(value as Record<string, Json>, key, [...path, key])) return;
      } else if (typeof each === 'object' && each !== null) {
        open.push({ value: each, position: below, path: [...path, key] });
      }
    }
  }
}

const fieldOf = ({ names, patterns, rest }: Position, key: string): Position | null =>
  names.get(key) ?? patterns.find(({ pattern }) => pattern.test(key))?.position ?? rest;

/** Positions by the schemas that meet there, so that those that hold themselves come to an end. */
function createPositions(targets: Targets): (nodes: readonly SchemaNode[]) => Position {
  const ids = new Map<SchemaNode, number>();
  const made = new Map<string, Position>();
  const idOf = (node: SchemaNode): number => {
    const id = ids.get(node) ?? ids.size;
    ids.set(node, id);
    return id;
  };

  function positionOf(nodes: readonly SchemaNode[]): Position {
    const key = [...new Set(nodes.map(idOf))].sort().join(' ');
    const known = made.get(key);
    if (known !== undefined) return known;
    let all: readonly SchemaNode[] | null = null;
    const flat = () => {
      all ??= flatten(nodes, targets);
      return all;
    };
    const position = lazily(() => describe(flat(), positionOf));
    made.set(key, position);
    return position;
  }
  return positionOf;
}

function lazily(make: () => Position): Position {
  let made: Position | null = null;
  const get = () => {
    made ??= make();
    return made;
  };
  return {
    get names() {
      return get().names;
    },
    get patterns() {
      return get().patterns;
    },
    get rest() {
      return get().rest;
    },
    get first() {
      return get().first;
    },
    get items() {
      return get().items;
    },
  };
}

/** All schemas that speak of the same value. */
function flatten(nodes: readonly SchemaNode[], targets: Targets): readonly SchemaNode[] {
  const all = new Set<SchemaNode>();
  const open = [...nodes];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (all.has(node)) continue;
    all.add(node);
    if (!isObject(node)) continue;
    const { $ref, allOf, anyOf, oneOf, if: when, then, else: otherwise, dependentSchemas } = node;
    const target = typeof $ref === 'string' ? targets.get($ref) : undefined;
    const lists = [allOf, anyOf, oneOf].flatMap((each) => (Array.isArray(each) ? (each as readonly Json[]) : []));
    const maps = isObject(dependentSchemas) ? Object.values(dependentSchemas) : [];
    open.push(...[target, when, then, otherwise, ...lists, ...maps].filter(isSchema));
  }
  return [...all];
}

type PositionOf = (nodes: readonly SchemaNode[]) => Position;

function describe(nodes: readonly SchemaNode[], positionOf: PositionOf): Position {
  const names = new Map<string, SchemaNode[]>();
  const patterns = new Map<string, SchemaNode[]>();
  const others: SchemaNode[] = [];
  const first: SchemaNode[][] = [];
  const items: SchemaNode[] = [];
  let closed = false;
  for (const node of nodes) {
    if (!isObject(node)) continue;
    for (const [key, each] of entriesOf(node['properties'])) names.set(key, [...(names.get(key) ?? []), each]);
    for (const [key, each] of entriesOf(node['patternProperties']))
      patterns.set(key, [...(patterns.get(key) ?? []), each]);
    for (const rest of [node['additionalProperties'], node['unevaluatedProperties']]) {
      if (rest === false) closed = true;
      else if (isSchema(rest)) others.push(rest);
    }
    const tuple = Array.isArray(node['items']) ? node['items'] : node['prefixItems'];
    for (const [index, each] of (Array.isArray(tuple) ? (tuple as readonly Json[]) : []).entries()) {
      if (isSchema(each)) first[index] = [...(first[index] ?? []), each];
    }
    items.push(...[node['items'], node['additionalItems'], node['unevaluatedItems']].filter(isSchema));
  }
  const free = !closed && names.size === 0 && patterns.size === 0;
  return {
    names: new Map([...names].map(([key, each]) => [key, positionOf(each)])),
    patterns: [...patterns].map(([key, each]) => ({ pattern: new RegExp(key, 'u'), position: positionOf(each) })),
    rest: free || others.length > 0 ? positionOf(others) : null,
    first: first.map((each) => positionOf(each)),
    items: positionOf(items),
  };
}

const entriesOf = (map: Json | undefined): readonly (readonly [string, SchemaNode])[] =>
  isObject(map) ? Object.entries(map).flatMap(([key, each]) => (isSchema(each) ? [[key, each] as const] : [])) : [];
