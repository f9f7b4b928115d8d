import { aboutKey, type Finding } from './finding.ts';
import { childOf, domainSchema, type SchemaNode } from './schema.ts';
import { isTable, keyOf, type Path, type Table, type TomlValue, tableOf } from './tree.ts';

/**
 * A layer of the file with each alias (`url` for `URI`) under its proper name, so that an overlay with one spelling lies
 * over a file with another. `prefix`: where the layer begins. Notes in `written` what is written elsewhere than it stands.
 */
export function canonical(layer: Table, prefix: Path, written: Map<string, Path>, findings: Finding[]): Table {
  return rename(layer, domainSchema, prefix, written, findings);
}

function rename(table: Table, node: SchemaNode, path: Path, written: Map<string, Path>, findings: Finding[]): Table {
  const entries = new Map<string, TomlValue>();
  const spelled = new Map<string, string>();
  for (const [key, value] of Object.entries(table)) {
    const child = childOf(node, key);
    const name = child?.['x-alias-of'] ?? key;
    const other = spelled.get(name);
    if (other !== undefined)
      findings.push(aboutKey('duplicate_key', [...path, key], `says the same as ${other}: state one of them`));
    spelled.set(name, key);
    // The last spelling is the one in force.
    if (name !== key) written.set(keyOf([...path, name]), [...path, key]);
    else written.delete(keyOf([...path, name]));
    entries.set(name, child && isTable(value) ? rename(value, child, [...path, key], written, findings) : value);
  }
  return tableOf(entries);
}
