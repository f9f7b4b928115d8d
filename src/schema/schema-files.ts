import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextFile, reasonOf } from '../config/text-file.ts';
import { jsonFault } from '../message/json-fault.ts';
import type { Json } from '../message/message.ts';
import { isMessageName } from '../message/type-name.ts';
import type { Fault } from '../runtime/errors.ts';
import type { SchemaNode } from './schema-node.ts';
import { isSchema } from './schema-node.ts';

/** A file of the schemas folder. */
export interface SchemaFile {
  /** Absolute. */
  readonly file: string;
  /** Below the folder, with `/`: `order/OrderPlaced.v2.json`. */
  readonly path: string;
  readonly text: string;
  readonly root: SchemaNode;
  /** What its payloads are; null for one that others only refer to. */
  readonly message: { readonly name: string; readonly version: number } | null;
}

export interface ReadSchemas {
  /** In the order of their paths. */
  readonly files: readonly SchemaFile[];
  readonly faults: readonly Fault[];
}

const maxBytes = 1_048_576;

/**
 * The schemas of a folder and those below it, one message a file: `OrderPlaced.json`, or `order/OrderPlaced.v2.json` for a
 * version other than 1. Folders are for people: the name alone says which message it is. What begins with `_` is there to
 * be referred to; what begins with `.` is passed over.
 */
export async function readSchemas(folder: string): Promise<ReadSchemas> {
  const found: { readonly files: SchemaFile[]; readonly faults: Fault[] } = { files: [], faults: [] };
  let names: readonly string[];
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    names = entries.filter((each) => !each.isDirectory()).map((each) => join(each.parentPath, each.name));
  } catch (error) {
    // The operator's mistake, not an outage: the folder is a part of the configuration.
    const message = `${reasonOf(error)}: mend [schemas] path in domain.toml`;
    return { files: [], faults: [{ code: 'unreadable', where: folder, message }] };
  }
  for (const file of [...names].sort()) {
    const path = file.slice(folder.length).split(/[\\/]/).filter(Boolean).join('/');
    if (!path.endsWith('.json') || /(^|\/)(\.|node_modules\/)/.test(path)) continue;
    const read = readSchema(file, path);
    if ('code' in read) found.faults.push(read);
    else found.files.push(read);
  }
  if (names.length > 0 || found.faults.length > 0)
    return { ...found, faults: [...found.faults, ...twice(found.files)] };
  return { files: [], faults: [{ code: 'no_schemas', where: folder, message: 'has no schemas: looked for *.json' }] };
}

function readSchema(file: string, path: string): SchemaFile | Fault {
  const read = readTextFile(file, maxBytes);
  if (read.kind === 'refused') return { code: read.code, where: file, message: read.reason };
  const fault = jsonFault(read.text);
  if (fault !== null) {
    return { code: 'syntax', where: `${file}:${fault.line}:${fault.column}`, message: 'is not JSON from here on' };
  }
  const root = JSON.parse(read.text) as Json;
  if (!isSchema(root)) return { code: 'no_schema', where: file, message: 'must be a JSON Schema: an object' };
  const message = messageOf(path);
  return message === 'unnamed' ? unnamed(file, path) : { file, path, text: read.text, root, message };
}

function messageOf(path: string): SchemaFile['message'] | 'unnamed' {
  if (/(^|\/)_/.test(path)) return null;
  const [, name = '', version = '1'] = /([^/]*?)(?:\.v(\d{1,9}))?(?:\.schema)?\.json$/.exec(path) ?? [];
  return isMessageName(name) && Number(version) > 0 ? { name, version: Number(version) } : 'unnamed';
}

function unnamed(file: string, path: string): Fault {
  const mend = `if others only refer to it, name it _${path.split('/').at(-1)}`;
  return { code: 'bad_name', where: file, message: `is not named after a message, like OrderPlaced.v2.json; ${mend}` };
}

function twice(files: readonly SchemaFile[]): readonly Fault[] {
  const first = new Map<string, SchemaFile>();
  return files.flatMap((each) => {
    if (each.message === null) return [];
    const { name, version } = each.message;
    const earlier = first.get(`${name} ${version}`);
    first.set(`${name} ${version}`, earlier ?? each);
    if (earlier === undefined) return [];
    const message = `version ${version} of ${name} has a schema already: ${earlier.file}`;
    return [{ code: 'clash', where: each.file, message }];
  });
}
