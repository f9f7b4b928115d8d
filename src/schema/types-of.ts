import type { Schemas } from './load-schemas.ts';
import type { SchemaNode } from './schema-node.ts';
import type { NameOf } from './type-text.ts';
import { bare, docblock, isPlainObject, objectText, typeText } from './type-text.ts';

interface Named {
  readonly name: string;
  readonly node: SchemaNode;
}

/**
 * A TypeScript module of the payloads of all messages, which declares them to domaind: handlers, `raise` and `process` are
 * then checked by name and by field. The newest version has the message's name, older ones `…V1`. The same schemas make
 * the same text.
 */
export function typesOf({ messages, targets }: Pick<Schemas, 'messages' | 'targets'>): string {
  const taken = new Set<string>(reserved);
  const names = new Map<SchemaNode, string>();
  const payloads = [...messages].sort(byName).map(([message, versions]) => ({
    message,
    versions: [...versions]
      .sort(([one], [other]) => other - one)
      .map(([version, { root }], index) => {
        const name = claim(index === 0 ? message : `${message}V${version}`, taken);
        names.set(root, name);
        return { version, name, node: root };
      }),
  }));
  const parts: Named[] = [];
  for (const [uri, node] of [...targets].sort(byName)) {
    if (names.has(node)) continue;
    const name = claim(nameFor(uri), taken);
    names.set(node, name);
    parts.push({ name, node });
  }
  const nameOf: NameOf = (ref) => names.get(targets.get(ref) ?? true) ?? 'unknown';
  const types = [...payloads.flatMap(({ versions }) => versions), ...parts];
  const newest = payloads.map(({ message, versions }) => `    ${message}: ${versions[0]?.name};`);
  const all = payloads.map(({ message, versions }) => {
    const each = versions.map(({ version, name }) => `${version}: ${name}`).reverse();
    return `    ${message}: { ${each.join('; ')} };`;
  });
  return [
    '// Made by `domaind types` from the schemas: change those, and run it again.',
    "import type {} from 'domaind';",
    '',
    "declare module 'domaind' {",
    '  interface MessageTypes {',
    ...newest,
    '  }',
    '',
    '  interface MessageVersions {',
    ...all,
    '  }',
    '}',
    '',
    types.map((each) => declaration(each, nameOf)).join('\n'),
  ].join('\n');
}

const byName = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number =>
  one < other ? -1 : one > other ? 1 : 0;

function declaration({ name, node }: Named, nameOf: NameOf): string {
  const about = docblock(node);
  if (isPlainObject(node)) {
    const body = objectText(node, nameOf);
    // An interface that says nothing more than this allows everything.
    if (body.startsWith('{\n')) return `${about}export interface ${name} ${body}\n`;
  }
  return `${about}export type ${name} = ${bare(typeText(node, nameOf))};\n`;
}

/** `file:///common/_money.json#/$defs/amount` → `Amount`, `file:///common/_money.json` → `Money`. */
function nameFor(uri: string): string {
  const last = decodeURIComponent(uri).split(/[#/]/).filter(Boolean).at(-1) ?? '';
  const words = last
    .replace(/(?:\.schema)?\.json$/, '')
    .split(/[^\p{L}\p{N}$]+/u)
    .filter(Boolean);
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return /^[\p{L}_$]/u.test(name) ? name : `Type${name}`;
}

/** The name, with a number where another type has it. */
function claim(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}${number}`;
  taken.add(name);
  return name;
}

/** What TypeScript does not let a type be called. */
const reserved: readonly string[] = [
  ...['any', 'as', 'await', 'bigint', 'boolean', 'break', 'case', 'catch', 'class', 'const', 'continue', 'debugger'],
  ...['declare', 'default', 'delete', 'do', 'else', 'enum', 'export', 'extends', 'false', 'finally', 'for', 'function'],
  ...['if', 'implements', 'import', 'in', 'infer', 'instanceof', 'interface', 'is', 'keyof', 'let', 'module'],
  ...['namespace', 'never', 'new', 'null', 'number', 'object', 'package', 'private', 'protected', 'public', 'readonly'],
  ...['return', 'static', 'string', 'super', 'switch', 'symbol', 'this', 'throw', 'true', 'try', 'type', 'typeof'],
  ...['undefined', 'unique', 'unknown', 'var', 'void', 'while', 'with', 'yield'],
];
