import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { didYouMean } from '../config/nearest.ts';
import { isObject } from '../message/codec.ts';
import type { Json } from '../message/message.ts';
import type { Fault } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import { formats } from './formats.ts';
import { whereIn } from './json-place.ts';
import type { LinkedSchema } from './link-schemas.ts';
import type { SchemaFile } from './schema-files.ts';
import type { JsonPath, SchemaNode } from './schema-node.ts';
import { annotations, keywords, partsOf } from './schema-node.ts';
import { showPath } from './show-path.ts';

/** What is wrong with a payload: `lines[0].price must be number`; null for nothing. Never a value of the payload. */
export type Check = (data: Json) => string | null;

export interface Compiled {
  /** By the file's path. */
  readonly checks: ReadonlyMap<string, Check>;
  readonly faults: readonly Fault[];
}

type Draft = '07' | '2019-09' | '2020-12';
const makers = { '07': Ajv, '2019-09': Ajv2019, '2020-12': Ajv2020 } as const;

/** The first fault of a payload ends its check: to collect all of them would let a payload choose how long that takes. */
const options: Options = {
  strict: true,
  strictTypes: false,
  strictRequired: false,
  strictTuples: false,
  allowUnionTypes: true,
  ownProperties: true,
  allErrors: false,
  logger: false,
};

/** Compiles the schemas of all messages. Whatever is wrong with any file is a fault with its place. */
export function compileSchemas(schemas: readonly LinkedSchema[]): Compiled {
  const draft = draftOf(schemas.map(({ source }) => source));
  if (typeof draft !== 'string') return { checks: new Map(), faults: [draft] };
  const ajv = new makers[draft]({ ...options, formats });
  const extensions = new Set(schemas.flatMap(({ source }) => extensionsIn(source.root)));
  ajv.addVocabulary([...annotations, ...extensions]);
  const faults = schemas.flatMap((each) => faultsOf(each, ajv));
  if (faults.length > 0) return { checks: new Map(), faults };
  for (const { uri, root } of schemas) ajv.addSchema(root as object, uri);
  const checks = new Map<string, Check>();
  for (const { source, uri } of schemas) {
    try {
      const validate = ajv.getSchema(uri);
      if (validate !== undefined) checks.set(source.path, (data) => (validate(data) ? null : sentence(validate)));
    } catch (error) {
      // What ajv refuses only now, it says about the schema: no payload has been seen.
      faults.push({ code: 'bad_schema', where: source.file, message: toError(error).message });
    }
  }
  return { checks, faults };
}

/** One draft for all: a reference from one to another would be read by the rules of neither. */
function draftOf(files: readonly SchemaFile[]): Draft | Fault {
  const stated = new Map<Draft, SchemaFile>();
  for (const source of files) {
    const url = isObject(source.root) ? source.root['$schema'] : undefined;
    if (typeof url !== 'string') continue;
    const [, draft] = /json-schema\.org\/draft(?:-|\/)(07|2019-09|2020-12)\/schema#?$/.exec(url) ?? [];
    const where = whereIn(source.file, source.text, ['$schema']);
    if (draft !== '07' && draft !== '2019-09' && draft !== '2020-12') {
      return { code: 'unknown_draft', where, message: '$schema must be draft-07, 2019-09 or 2020-12 of JSON Schema' };
    }
    stated.set(draft, source);
    const other = [...stated].find(([each]) => each !== draft);
    if (other === undefined) continue;
    const message = `$schema is another draft than that of ${other[1].file}: all files must have one`;
    return { code: 'mixed_drafts', where, message };
  }
  const [draft = '2020-12'] = stated.keys();
  return draft;
}

const extensionsIn = (node: SchemaNode): readonly string[] =>
  isObject(node)
    ? [
        ...Object.keys(node).filter((key) => key.startsWith('x-')),
        ...partsOf(node).flatMap((part) => extensionsIn(part.node)),
      ]
    : [];

function faultsOf({ source, root }: LinkedSchema, ajv: Ajv): readonly Fault[] {
  const fault = (code: string, path: JsonPath, message: string): Fault => ({
    code,
    where: whereIn(source.file, source.text, path),
    message,
  });
  const own = faultsIn(source.root, [], fault);
  if (own.length > 0) return own;
  const type = isObject(root) ? root['type'] : undefined;
  if (source.message !== null && type !== undefined && type !== 'object') {
    return [fault('bad_schema', ['type'], 'must be "object": the payload of a message is one')];
  }
  void ajv.validateSchema(root as object);
  const [error] = ajv.errors ?? [];
  if (error === undefined) return [];
  const path = pathIn(error.instancePath, source.root);
  return [fault('bad_schema', path, `${showPath(path) || 'the schema'} ${error.message ?? 'is wrong'}`)];
}

type MakeFault = (code: string, path: JsonPath, message: string) => Fault;

/** What ajv would refuse without saying where. */
function faultsIn(node: SchemaNode, path: JsonPath, fault: MakeFault): readonly Fault[] {
  if (!isObject(node)) return [];
  const own = Object.entries(node).flatMap(([keyword, value]): readonly Fault[] => {
    const at = [...path, keyword];
    if (!keyword.startsWith('x-') && !keywords.includes(keyword)) {
      const mend = didYouMean(keyword, keywords);
      return [fault('unknown_keyword', at, `"${keyword}" is no keyword of JSON Schema${mend}`)];
    }
    if (keyword === 'format' && typeof value === 'string' && !Object.hasOwn(formats, value)) {
      return [fault('unknown_format', at, `there is no format "${value}"${didYouMean(value, Object.keys(formats))}`)];
    }
    const patterns = keyword === 'pattern' ? [value] : keyword === 'patternProperties' ? Object.keys(value ?? {}) : [];
    return patterns
      .filter((pattern) => typeof pattern === 'string' && !isPattern(pattern))
      .map(() => fault('bad_pattern', at, `${keyword} is no regular expression`));
  });
  return [...own, ...partsOf(node).flatMap((part) => faultsIn(part.node, [...path, ...part.path], fault))];
}

const isPattern = (text: string): boolean => {
  const { regex } = formats;
  return typeof regex === 'function' && regex(text);
};

/** Where the payload is wrong, as deep as the schema tells; of a choice, what the nearest alternative lacks. */
function sentence({ errors }: ValidateFunction): string {
  let worst: ErrorObject | null = null;
  for (const error of errors ?? []) {
    if (worst === null || depthOf(error) >= depthOf(worst)) worst = error;
  }
  if (worst === null) return 'is not what its schema says';
  const path = worst.instancePath.split('/').slice(1).map(unescaped);
  const { keyword, params, message = 'is not what its schema says' } = worst;
  if (keyword === 'required') return `${showPath([...path, String(params['missingProperty'])])} is missing`;
  const extra: unknown = params['additionalProperty'] ?? params['unevaluatedProperty'];
  if (typeof extra === 'string') return `${showPath([...path, extra])} is not known`;
  const allowed: unknown = keyword === 'enum' ? params['allowedValues'] : undefined;
  const choice =
    Array.isArray(allowed) && allowed.length <= 20 ? `: ${allowed.map((each) => JSON.stringify(each)).join(', ')}` : '';
  return `${showPath(path) || 'the payload'} ${message}${choice}`;
}

const depthOf = ({ instancePath }: ErrorObject): number => instancePath.split('/').length;
const unescaped = (step: string): string => step.replaceAll('~1', '/').replaceAll('~0', '~');

/** A JSON pointer, whose steps do not say which of them are indexes. */
function pathIn(pointer: string, root: Json): JsonPath {
  let value: Json | undefined = root;
  return pointer
    .split('/')
    .slice(1)
    .map(unescaped)
    .map((step) => {
      const isIndex = Array.isArray(value);
      value = isObject(value) ? value[step] : Array.isArray(value) ? value[Number(step)] : undefined;
      return isIndex ? Number(step) : step;
    });
}
