import { nodeAt, type SchemaNode, typesOf } from './schema.ts';
import { keyOf, mapValues, type Table, type TomlValue } from './tree.ts';

/**
 * Turns strings that came from a variable into what the key wants: `port = "${PORT|8080}"`. What does not fit stays a
 * string, for the validation to refuse. A string that the file itself states is never turned into anything.
 */
export function coerce(tree: Table, variables: ReadonlyMap<string, readonly string[]>): Table {
  return mapValues(tree, (value, path) => {
    const node = typeof value === 'string' && variables.has(keyOf(path)) ? nodeAt(path) : null;
    return node ? convert(String(value), node) : value;
  }) as Table;
}

function convert(text: string, node: SchemaNode): TomlValue {
  const types = typesOf(node);
  if (types.includes('string')) return text;
  const trimmed = text.trim();
  if (types.includes('integer') && /^[+-]?\d+$/.test(trimmed)) return Number(trimmed);
  if (types.includes('number') && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(trimmed)) return Number(trimmed);
  if (types.includes('boolean') && /^(?:true|1)$/i.test(trimmed)) return true;
  if (types.includes('boolean') && /^(?:false|0)$/i.test(trimmed)) return false;
  if (types.includes('array')) return trimmed === '' ? [] : trimmed.split(',').map((each) => each.trim());
  return text;
}
