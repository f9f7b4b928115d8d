import type { ErrorObject } from 'ajv';
import { aboutKey, aboutTable, type Finding } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { dereference, domainSchema, keysOf, nodeAt, type SchemaNode, typesOf } from './schema.ts';
import { shown } from './secrets.ts';
import { isTable, keyOf, type Path, showTable } from './tree.ts';

/** What ajv found, as a sentence with the key, the rule and the value. Null for what another error says already. */
export function findingOf(error: ErrorObject, path: Path, hidden: ReadonlySet<string>): Finding | null {
  const node = nodeAt(path);
  const isHidden = hidden.has(keyOf(path));
  const value = isHidden ? 'a value that is not shown' : shown(path, error.data);
  const got = `got ${value}`;
  const limits = node ? `expected ${rangeOf(node)}, ${got}` : got;
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey([...path, String(error.params['additionalProperty'])], error.data);
    case 'propertyNames':
      return badName(path, String(error.params['propertyName']));
    case 'type':
      return wrongType(path, node, error.data, value);
    case 'enum':
      return aboutKey('not_allowed', path, notAllowed(node, isHidden ? null : error.data, got));
    case 'minimum':
    case 'maximum':
      return aboutKey('out_of_range', path, limits);
    case 'minLength':
    case 'minItems':
      return aboutKey(
        'empty',
        path,
        node?.['x-expects'] ? `expected ${node['x-expects']}, ${got}` : 'must not be empty',
      );
    case 'uniqueItems':
      return aboutKey('not_allowed', path, `must not name anything twice, as entries ${ordinals(error.params)} do`);
    case 'maxLength':
      return aboutKey('too_long', path, `must not be longer than ${error.params['limit']} characters`);
    case 'pattern':
      // Of a name in this table, propertyNames tells it.
      if (node?.type === 'object') return null;
      return aboutKey('bad_value', path, `expected ${node?.['x-expects'] ?? error.params['pattern']}, ${got}`);
    default:
      return aboutKey('invalid', path, `${error.message ?? 'is invalid'}, ${got}`);
  }
}

/** Of the two alike, counted from 1. */
const ordinals = ({ i, j }: ErrorObject['params']): string =>
  [Number(i), Number(j)]
    .sort((a, b) => a - b)
    .map((index) => index + 1)
    .join(' and ');

function unknownKey(path: Path, table: unknown): Finding {
  const key = String(path.at(-1));
  const above = path.slice(0, -1);
  const names = keysOf(nodeAt(above) ?? domainSchema);
  const hint = didYouMean(key, names) || elsewhere(key, above);
  const value = isTable(table) ? table[key] : undefined;
  if (isTable(value)) return aboutTable('unknown_key', path, `unknown table${hint}`);
  return aboutKey('unknown_key', path, `unknown key${hint}`);
}

/** ` (it belongs to [outbox] or [server])`, for a key that stands in the wrong table. */
function elsewhere(key: string, above: Path): string {
  const places = (tablesByKey.get(key) ?? []).filter((place) => showTable(place) !== showTable(above));
  if (places.length === 0 || places.length > 3) return '';
  return ` (it belongs to ${places.map((place) => (place.length === 0 ? 'the top of the file' : showTable(place))).join(' or ')})`;
}

/** By key, the tables that may have it; those with a name of the user's own are left out. */
const tablesByKey: ReadonlyMap<string, readonly Path[]> = (() => {
  const found = new Map<string, readonly Path[]>();
  const visit = (node: SchemaNode, path: Path): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      found.set(key, [...(found.get(key) ?? []), path]);
      visit(dereference(child), [...path, key]);
    }
  };
  visit(domainSchema, []);
  return found;
})();

function badName(path: Path, name: string): Finding {
  const names = nodeAt(path)?.propertyNames;
  const grammar = names ? dereference(names)['x-expects'] : undefined;
  return aboutTable('bad_name', [...path, name], `${JSON.stringify(name)} may not be a name here: expected ${grammar}`);
}

function notAllowed(node: SchemaNode | null, value: unknown, got: string): string {
  const allowed = (node?.enum ?? []).filter((each) => each !== '');
  const list = allowed.map((each) => JSON.stringify(each)).join(', ');
  return `expected ${allowed.length > 1 ? 'one of ' : ''}${list}, ${got}${typeof value === 'string' ? didYouMean(value, allowed) : ''}`;
}

function wrongType(path: Path, node: SchemaNode | null, value: unknown, seen: string): Finding {
  const about = isTable(value) || node?.type === 'object' ? aboutTable : aboutKey;
  const kind = typeof value === 'string' && seen.startsWith('"') ? 'the string ' : '';
  return about('wrong_type', path, `expected ${node ? kindOf(node) : 'another type'}, got ${kind}${seen}`);
}

const kinds: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['integer', 'a whole number'],
  ['number', 'a number'],
  ['boolean', 'true or false'],
  ['array', 'an array of strings'],
  ['object', 'a table'],
]);

/** `a whole number of seconds`. */
function kindOf(node: SchemaNode): string {
  const types = typesOf(node).map((type) => kinds.get(type) ?? type);
  return types.join(' or ') + (node['x-unit'] ? ` of ${node['x-unit']}` : '');
}

/** `1 to 65535`, with the unit where there is one. */
function rangeOf(node: SchemaNode): string {
  return `${node.minimum} to ${node.maximum}${node['x-unit'] ? ` ${node['x-unit']}` : ''}`;
}
