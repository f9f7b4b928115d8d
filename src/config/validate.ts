import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Finding } from './finding.ts';
import { domainSchema } from './schema.ts';
import { findingOf } from './sentences.ts';
import { isTable, type Path, type Table, type TomlValue } from './tree.ts';

const annotations = [
  'x-unit',
  'x-default',
  'x-expects',
  'x-uri',
  'x-secret',
  'x-alias-of',
  'x-required',
  'x-without-effect',
  'x-effect-only',
];

let compiled: ValidateFunction | null = null;

/** Compiled once, at first use: it takes longer than everything else here. */
function validator(): ValidateFunction {
  if (compiled) return compiled;
  // It runs once a process, so the compiling is what costs: neither inlined nor optimized, it takes half the time.
  const quick = { inlineRefs: false, code: { optimize: false } };
  const ajv = new Ajv({
    ...quick,
    allErrors: true,
    verbose: true,
    strict: true,
    allowUnionTypes: true,
    ownProperties: true,
  });
  ajv.addVocabulary(annotations);
  compiled = ajv.compile(domainSchema);
  return compiled;
}

/**
 * Everything that the schema says against an effective configuration. `hidden`: by keyOf(path), values that came from a
 * variable with a secret's name, which no sentence may show.
 */
export function validate(tree: Table, hidden: ReadonlySet<string> = new Set()): readonly Finding[] {
  const valid = validator();
  if (valid(tree)) return [];
  return (valid.errors ?? [])
    .map((error) => findingOf(error, pathOf(error, tree), hidden))
    .filter((finding) => finding !== null);
}

/** ajv gives a JSON pointer, in which the index of an array and the key of a table look the same. */
function pathOf(error: ErrorObject, tree: Table): Path {
  const path: (string | number)[] = [];
  let at: TomlValue | undefined = tree;
  for (const part of error.instancePath.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const step: string | number = Array.isArray(at) ? Number(key) : key;
    at = isTable(at) ? at[key] : Array.isArray(at) ? (at as readonly TomlValue[])[Number(key)] : undefined;
    path.push(step);
  }
  return path;
}
