import { aboutKey, type Finding } from './finding.ts';
import { keyOf, mapValues, type Path, type Table } from './tree.ts';
import type { Variables } from './variables.ts';

export interface Interpolated {
  readonly tree: Table;
  /** By keyOf(path): the variables that a value was made of. */
  readonly variables: ReadonlyMap<string, readonly string[]>;
  readonly findings: readonly Finding[];
}

const token = /\$\$|\$\{([^}]*)(\}?)/g;
const grammar = /^([A-Za-z_][A-Za-z0-9_]*)(?:(?:\||:-)([\s\S]*))?$/;

/**
 * Expands `${NAME}`, `${NAME|default}`, `${NAME:-default}` and `$$` in every string value, once: what a variable holds
 * is never expanded again. A lone `$` stays.
 */
export function interpolate(tree: Table, lookUp: Variables): Interpolated {
  const variables = new Map<string, readonly string[]>();
  const findings: Finding[] = [];

  const expand = (text: string, path: Path): string => {
    const used: string[] = [];
    const expanded = text.replace(token, (whole, inner: string | undefined, end: string) => {
      if (inner === undefined) return '$';
      const [, name, fallback] = grammar.exec(inner) ?? [];
      if (end === '' || name === undefined) {
        return refuse(
          'bad_variable',
          path,
          'expected the name of a variable in the braces, alone or with "|default" or ":-default"',
          whole,
        );
      }
      used.push(name);
      if (fallback?.includes('${')) {
        return refuse('nested_variable', path, `the default of ${name} may not hold a variable itself`, whole);
      }
      const found = lookUp(name);
      if (found.kind === 'text') return found.text;
      if (found.kind === 'unusable') return refuse('bad_variable', path, `${name} ${found.reason}`, whole);
      if (fallback !== undefined) return fallback;
      return refuse(
        'missing_variable',
        path,
        `the variable ${name} is not set: set it, or write a default as \${${name}|default}`,
        whole,
      );
    });
    if (used.length > 0) variables.set(keyOf(path), used);
    return expanded;
  };
  const refuse = (code: string, path: Path, sentence: string, whole: string): string => {
    findings.push(aboutKey(code, path, sentence));
    return whole;
  };

  const expanded = mapValues(tree, (value, path) => (typeof value === 'string' ? expand(value, path) : value));
  return { tree: expanded as Table, variables, findings };
}
