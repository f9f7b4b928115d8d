// Writes docs/configuration.md from the schema and the profiles: node --import tsx scripts/config-reference.ts
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { builtInProfiles } from '../src/config/profiles.ts';
import { dereference, domainSchema, isFree, type SchemaNode, typesOf } from '../src/config/schema.ts';

const page = fileURLToPath(new URL('../docs/configuration.md', import.meta.url));
const introduction = fileURLToPath(new URL('./configuration.intro.md', import.meta.url));

/** The page as it must be. */
export function configReference(): string {
  const parts = [
    readFileSync(introduction, 'utf8').trimEnd(),
    '## Reference',
    ...sections(domainSchema, []),
    profileSection(),
  ];
  return `${parts.join('\n\n')}\n`;
}

const isTableNode = (node: SchemaNode): boolean => node.type === 'object';

/** A section for a table and one for each table in it, in the order of the schema. */
function sections(node: SchemaNode, path: readonly string[], inherited = false): readonly string[] {
  const without = inherited || node['x-without-effect'] === true;
  const children = Object.entries(node.properties ?? {}).map(([key, each]) => [key, dereference(each)] as const);
  const rows = children
    .filter(([, each]) => !isTableNode(each) || isFree(each))
    .map(([key, each]) => row(key, each, path));
  const heading = path.length === 0 ? '### Top of the file' : `### \`[${path.join('.')}]\``;
  const mark = without ? ['*Read, but without effect in this version.*'] : [];
  const table = rows.length > 0 ? [['| key | value | default | |', '|---|---|---|---|', ...rows].join('\n')] : [];
  const own = path.length === 0 ? [] : [node.description ?? ''];
  const each = node.additionalProperties;
  const named =
    typeof each === 'object' && path.length > 0 ? sections(dereference(each), [...path, '<name>'], without) : [];
  const below = children.flatMap(([key, child]) =>
    isTableNode(child) && !isFree(child) ? sections(child, [...path, key], without) : [],
  );
  const here = rows.length > 0 || named.length > 0 ? [heading, ...own, ...mark, ...table] : [];
  return [...here, ...named, ...below];
}

function row(key: string, node: SchemaNode, path: readonly string[]): string {
  const words = [node.description ?? '', ...effect(node)].join(' ');
  return `| \`${key}\` | ${kindOf(node)} | ${defaultOf(node, path)} | ${words.replaceAll('|', '\\|')} |`;
}

function effect(node: SchemaNode): readonly string[] {
  const only = node['x-effect-only'];
  if (node['x-without-effect']) return ['*Without effect.*'];
  return only ? [`*In this version, only ${only.map((each) => `\`${each}\``).join(', ')} has an effect.*`] : [];
}

/** `1 … 65535 seconds`, `"stream"` or `"none"`, text. */
function kindOf(node: SchemaNode): string {
  if (node.enum)
    return node.enum
      .filter((each) => each !== '' && each === each.toLowerCase())
      .map((each) => `\`"${each}"\``)
      .join(', ');
  if (isFree(node)) return 'table';
  const types = typesOf(node).map((type) => names.get(type) ?? type);
  const range = node.minimum === undefined ? '' : `, ${node.minimum} … ${node.maximum}`;
  return `${types.join(' or ')}${range}${node['x-unit'] ? ` ${node['x-unit']}` : ''}`;
}

const names = new Map([
  ['integer', 'whole number'],
  ['boolean', '`true`, `false`'],
  ['array', 'list of texts'],
  ['string', 'text'],
]);

function defaultOf(node: SchemaNode, path: readonly string[]): string {
  if (node['x-required']) return 'needed';
  if (node['x-alias-of']) return '';
  // What one handler or one profile does not state comes from the layers below.
  if (['subscriptions', 'profiles'].includes(path[1] ?? '')) return '';
  if (node['x-default']) return node['x-default'];
  return node.default === undefined ? 'none' : `\`${JSON.stringify(node.default)}\``;
}

function profileSection(): string {
  const fields = [...new Set([...builtInProfiles.values()].flatMap((profile) => Object.keys(profile)))];
  const profiles = [...builtInProfiles];
  const head = `| | ${profiles.map(([name]) => `\`${name}\``).join(' | ')} |`;
  const rows = fields.map(
    (field) => `| \`${field}\` | ${profiles.map(([, profile]) => String(profile[field] ?? '')).join(' | ')} |`,
  );
  return ['### Built-in profiles', '', head, `|---|${'---|'.repeat(profiles.length)}`, ...rows].join('\n');
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  writeFileSync(page, configReference());
