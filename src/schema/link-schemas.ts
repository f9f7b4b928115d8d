import { didYouMean } from '../config/nearest.ts';
import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';
import type { Fault } from '../runtime/errors.ts';
import { whereIn } from './json-place.ts';
import type { SchemaFile } from './schema-files.ts';
import type { JsonPath, SchemaNode } from './schema-node.ts';
import { isSchema, partsOf } from './schema-node.ts';

/** A schema file whose references lead somewhere, each written as a key of `targets`. */
export interface LinkedSchema {
  readonly source: SchemaFile;
  readonly uri: string;
  readonly root: SchemaNode;
}

export interface LinkedSchemas {
  readonly schemas: readonly LinkedSchema[];
  /** What each `$ref` is to. */
  readonly targets: ReadonlyMap<string, SchemaNode>;
  readonly faults: readonly Fault[];
}

interface Place {
  readonly source: SchemaFile;
  readonly path: JsonPath;
  readonly node: SchemaNode;
  /** What references here are read against: the nearest `$id`, else the file's own URI. */
  readonly base: string;
}

/**
 * Finds what every `$ref` is to: by `$id` where files have one, else by the path of the file, relative to the one that
 * refers; within a file by JSON pointer or `$anchor`. From here on there is one way to write a reference, and no `$id` or `$anchor`.
 */
export function linkSchemas(files: readonly SchemaFile[]): LinkedSchemas {
  const places = files.flatMap((source) => placesIn(source, source.root, [], uriOf(source)));
  const named = nameAll(places);
  const targets = new Map<string, SchemaNode>();
  const faults: Fault[] = [];
  const wanted = new Map<string, Place>();

  function linked(place: Place): SchemaNode {
    const { node, source, path, base } = place;
    if (!isObject(node)) return node;
    const { $id: _id, $anchor: _anchor, $schema: _schema, $ref, ...rest } = node;
    const copy: Record<string, Json> = { ...rest };
    for (const part of partsOf(node)) put(copy, part.path, linked({ ...placeBelow(place, part), base }));
    if (typeof $ref !== 'string') return $ref === undefined ? copy : { ...copy, $ref };
    const target = find($ref, base, named) ?? find($ref, uriOf(source), named);
    if (target === null) {
      const known = files.map((each) => each.path);
      const message = `$ref leads nowhere: there is no "${$ref}"${didYouMean($ref, known)}`;
      faults.push({ code: 'unknown_reference', where: whereIn(source.file, source.text, [...path, '$ref']), message });
      return copy;
    }
    const uri = `${uriOf(target.source)}${fragmentOf(target.path)}`;
    wanted.set(uri, target);
    return { $ref: uri, ...copy };
  }

  const schemas = files.map((source) => {
    const root = linked({ source, path: [], node: source.root, base: baseOf(source.root, uriOf(source)) });
    return { source, uri: uriOf(source), root };
  });
  const roots = new Map(schemas.map(({ source, root }) => [source, root]));
  for (const [uri, { source, path }] of wanted) {
    const target = at(roots.get(source), path);
    if (isSchema(target)) targets.set(uri, target);
  }
  return { schemas, targets, faults };
}

const uriOf = ({ path }: SchemaFile): string => `file:///${path.split('/').map(encodeURIComponent).join('/')}`;

const fragmentOf = (path: JsonPath): string =>
  path.length === 0
    ? ''
    : `#${path.map((step) => `/${encodeURIComponent(String(step).replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`;

function placesIn(source: SchemaFile, node: SchemaNode, path: JsonPath, outer: string): readonly Place[] {
  const base = baseOf(node, outer);
  const below = partsOf(node).flatMap((part) => placesIn(source, part.node, [...path, ...part.path], base));
  return [{ source, path, node, base }, ...below];
}

const placeBelow = ({ source, path, base }: Place, part: { readonly node: SchemaNode; readonly path: JsonPath }) => ({
  source,
  path: [...path, ...part.path],
  node: part.node,
  base: baseOf(part.node, base),
});

/** A fragment alone, as older drafts name parts, is no base. */
function baseOf(node: SchemaNode, outer: string): string {
  const id = isObject(node) ? node['$id'] : undefined;
  return typeof id === 'string' && !id.startsWith('#') ? (resolved(id, outer) ?? outer) : outer;
}

/** Every place by the URIs that it has: its file's, its `$id`, its `$anchor`. */
function nameAll(places: readonly Place[]): ReadonlyMap<string, Place> {
  const named = new Map<string, Place>();
  for (const place of places) {
    const { source, path, node, base } = place;
    if (path.length === 0) named.set(uriOf(source), place);
    if (!isObject(node)) continue;
    const { $id, $anchor } = node;
    if (typeof $id === 'string') named.set($id.startsWith('#') ? `${base}${$id}` : base, place);
    if (typeof $anchor === 'string') named.set(`${base}#${$anchor}`, place);
  }
  return named;
}

function find(ref: string, base: string, named: ReadonlyMap<string, Place>): Place | null {
  const url = resolved(ref, base);
  if (url === null) return null;
  const [document = '', fragment = ''] = url.split(/#(.*)/s);
  const exact = named.get(fragment === '' ? document : url);
  if (exact !== undefined) return exact;
  const root = named.get(document);
  if (root === undefined || !fragment.startsWith('/')) return null;
  return follow(root, fragment.slice(1).split('/').map(unescaped));
}

/** Down to the schema that the steps lead to, which need not be one that a keyword holds. */
function follow(root: Place, steps: readonly string[]): Place | null {
  let value: Json | undefined = root.node;
  let base = root.base;
  const path: (string | number)[] = [...root.path];
  for (const step of steps) {
    path.push(Array.isArray(value) ? Number(step) : step);
    value = childOf(value, path.at(-1));
    if (isSchema(value)) base = baseOf(value, base);
  }
  return isSchema(value) ? { source: root.source, path, node: value, base } : null;
}

function childOf(value: Json | undefined, step: string | number | undefined): Json | undefined {
  if (Array.isArray(value)) return value[Number(step)];
  return isObject(value) && Object.hasOwn(value, String(step)) ? value[String(step)] : undefined;
}

const at = (root: Json | undefined, path: JsonPath): Json | undefined => path.reduce(childOf, root);

const unescaped = (step: string): string => decode(step).replaceAll('~1', '/').replaceAll('~0', '~');
const decode = (text: string): string => (/%(?![0-9a-fA-F]{2})/.test(text) ? text : decodeURIComponent(text));

const resolved = (ref: string, base: string): string | null =>
  URL.canParse(ref, base) ? new URL(ref, base).href : null;

/** Puts a schema in the place of another in a copy, whose containers on the way are copied, too. */
function put(copy: Record<string, Json>, path: JsonPath, node: SchemaNode): void {
  const [keyword = '', key] = path.map(String);
  const held = copy[keyword];
  if (key === undefined) copy[keyword] = node;
  else if (Array.isArray(held)) copy[keyword] = held.map((each: Json, index) => (index === Number(key) ? node : each));
  else copy[keyword] = { ...(held as JsonObject), [key]: node };
}
