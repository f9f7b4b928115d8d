import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import { tools } from '../../scripts/deploy-tools.mjs';
import type { Manifest } from './chart.ts';

type Schema = { readonly [key: string]: unknown };

/** What is wrong with an object, by the schemas of Kubernetes, KEDA and the Prometheus Operator: keys they do not know are. */
export function createManifestCheck(): (manifest: Manifest) => readonly string[] {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const { definitions } = JSON.parse(readFileSync(tools.kubernetes, 'utf8')) as {
    readonly definitions: { readonly [name: string]: Schema };
  };
  ajv.addSchema({ $id: 'kubernetes', definitions: strict(definitions) });
  const checks = new Map<string, Check>();
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as readonly {
      readonly group: string;
      readonly version: string;
      readonly kind: string;
    }[];
    const [first] = kinds;
    if (kinds.length !== 1 || first === undefined) continue;
    const { group, version, kind } = first;
    const key = keyOf(group === '' ? version : `${group}/${version}`, kind);
    checks.set(
      key,
      lazily(() => ajv.compile({ $ref: `kubernetes#/definitions/${name}` })),
    );
  }
  for (const file of [tools.keda, tools.monitoring].flatMap(yamlFilesIn)) {
    const { spec } = parse(readFileSync(file, 'utf8')) as CustomResource;
    for (const { name, schema } of spec.versions) {
      const check = lazily(() => ajv.compile(strict(schema.openAPIV3Schema)));
      checks.set(keyOf(`${spec.group}/${name}`, spec.names.kind), check);
    }
  }
  return (manifest) => {
    const check = checks.get(keyOf(manifest.apiVersion, manifest.kind));
    if (check === undefined) return [`no schema of ${manifest.apiVersion} ${manifest.kind}`];
    return check(manifest).map(
      ({ instancePath, message, params }) =>
        `${manifest.kind} ${manifest.metadata.name} ${instancePath}: ${message} ${JSON.stringify(params)}`,
    );
  };
}

interface CustomResource {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

const keyOf = (apiVersion: string, kind: string): string => `${apiVersion} ${kind}`;

const yamlFilesIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => join(folder, file));

type Check = (value: unknown) => readonly ErrorObject[];

/** Compiles at first use: there are hundreds, and a chart needs ten. */
function lazily(compile: () => ValidateFunction): Check {
  let compiled: ValidateFunction | null = null;
  return (value) => {
    compiled ??= compile();
    return compiled(value) ? [] : (compiled.errors ?? []);
  };
}

/** As the API server reads it with strict validation: no unknown keys, numbers for quantities and ports by name too. */
function strict<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(strict) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, strict(value)] as const);
  const made: Record<string, unknown> = Object.fromEntries(entries);
  if (typeof made['properties'] === 'object' && isSchema(made)) made['additionalProperties'] ??= false;
  // A notation of Go's expressions.
  if (String(made['pattern'] ?? '').includes('(?i)')) delete made['pattern'];
  const anyOfBoth = made['format'] === 'int-or-string' || made['x-kubernetes-int-or-string'] === true;
  const quantity = String(made['description'] ?? '').startsWith('Quantity is');
  if (anyOfBoth || quantity) return { type: ['integer', 'number', 'string'] } as T;
  return made as T;
}

/** Something with properties, and not the properties of something that has one of that name. */
const isSchema = (made: { readonly [key: string]: unknown }): boolean =>
  !made['x-kubernetes-preserve-unknown-fields'] &&
  (typeof made['type'] === 'string' || made['description'] !== undefined);
