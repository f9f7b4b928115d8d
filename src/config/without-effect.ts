import { childOf, domainSchema, type SchemaNode } from './schema.ts';
import { isTable, type Path, showKey, showTable, type Table, type TomlValue } from './tree.ts';

/**
 * What the file states and this version does nothing with, as `[table] key`: by the annotations `x-without-effect` and
 * `x-effect-only` of the schema. What only states the default has no effect that anyone could miss.
 */
export function keysWithoutEffect(tree: Table): readonly string[] {
  return below(tree, domainSchema, []);
}

function below(table: Table, node: SchemaNode, path: Path): readonly string[] {
  return Object.entries(table).flatMap(([key, value]) => {
    const child = childOf(node, key);
    if (child === null) return [];
    const at = [...path, key];
    if (child['x-without-effect']) return value === child.default ? [] : [isTable(value) ? showTable(at) : showKey(at)];
    if (isTable(value)) return below(value, child, at);
    return hasEffect(value, child) ? [] : [`${showKey(at)} = ${JSON.stringify(value)}`];
  });
}

const hasEffect = (value: TomlValue, node: SchemaNode): boolean => {
  const only = node['x-effect-only'];
  return only === undefined || only.some((each) => each === value);
};
