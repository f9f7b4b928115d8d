import type { Fault } from '../runtime/errors.ts';
import { linkSchemas } from './link-schemas.ts';
import { readSchemas } from './schema-files.ts';
import type { SchemaNode } from './schema-node.ts';
import type { UnknownFields } from './unknown-fields.ts';
import { createUnknownFields } from './unknown-fields.ts';
import type { Check } from './validator.ts';

/** The schema of one version of one message. */
export interface MessageSchema {
  readonly check: Check;
  readonly unknown: UnknownFields;
  /** With references as keys of `targets`. */
  readonly root: SchemaNode;
}

export interface Schemas {
  /** By name, then by version. */
  readonly messages: ReadonlyMap<string, ReadonlyMap<number, MessageSchema>>;
  readonly targets: ReadonlyMap<string, SchemaNode>;
  readonly faults: readonly Fault[];
}

export const noSchemas: Schemas = { messages: new Map(), targets: new Map(), faults: [] };

/** Reads, links and compiles the schemas of a folder; null is none. With faults, the rest must not be used. Never throws. */
export async function loadSchemas(folder: string | null): Promise<Schemas> {
  if (folder === null) return noSchemas;
  // ajv in all its drafts is only loaded where there are schemas.
  const { compileSchemas } = await import('./validator.ts');
  const { files, faults: ofFiles } = await readSchemas(folder);
  const { schemas, targets, faults: ofLinks } = linkSchemas(files);
  const { checks, faults: ofSchemas } =
    ofLinks.length > 0 ? { checks: new Map<string, Check>(), faults: [] } : compileSchemas(schemas);
  const messages = new Map<string, Map<number, MessageSchema>>();
  for (const { source, root } of schemas) {
    const check = checks.get(source.path);
    if (source.message === null || check === undefined) continue;
    const { name, version } = source.message;
    const versions = messages.get(name) ?? new Map<number, MessageSchema>();
    versions.set(version, { check, unknown: createUnknownFields(root, targets), root });
    messages.set(name, versions);
  }
  return { messages, targets, faults: [...ofFiles, ...ofLinks, ...ofSchemas] };
}
