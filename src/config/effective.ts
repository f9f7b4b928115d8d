import type { Fault } from '../runtime/errors.ts';
import { type Finding, messageOf } from './finding.ts';
import type { Document } from './load.ts';
import { type Layered, writtenPath } from './overlay.ts';
import { keyOf, type Path, type Table } from './tree.ts';

/** A configuration file with its overlay, its variables and its types, before defaults: what `config show` explains. */
export interface Effective {
  readonly document: Document;
  /** The overlay that was asked for, or null. */
  readonly env: string | null;
  readonly tree: Table;
  readonly layered: Layered;
  /** By keyOf(path): the variables that a value was made of. */
  readonly variables: ReadonlyMap<string, readonly string[]>;
}

/** The place of a path in the file: `domain.toml:12:5`. */
export function placeOf({ document, layered }: Effective, path: Path): string {
  const { line, column } = positionOf(document, layered, path);
  return `${document.name}:${line}:${column}`;
}

const positionOf = ({ locator, section }: Document, { written }: Layered, path: Path) =>
  locator.at([...section, ...writtenPath(written, path)]);

/** Findings with their places, in the order of the file, one for each key and sentence. */
export function renderFindings(findings: readonly Finding[], effective: Effective): readonly Fault[] {
  const { document, layered, variables } = effective;
  const placed = findings.map((finding) => ({ finding, position: positionOf(document, layered, finding.path) }));
  placed.sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
  const faults = placed.map(({ finding, position }) => {
    const path = [...document.section, ...writtenPath(layered.written, finding.path)];
    const from = variables
      .get(keyOf(finding.path))
      ?.map((name) => `\${${name}}`)
      .join(' and ');
    const told = finding.code.endsWith('_variable');
    const message = `${messageOf(finding, path)}${from && !told ? ` (from ${from})` : ''}`;
    return { code: finding.code, where: `${document.name}:${position.line}:${position.column}`, message };
  });
  const seen = new Set<string>();
  return faults.filter(({ where, message }) => {
    const fresh = !seen.has(`${where} ${message}`);
    seen.add(`${where} ${message}`);
    return fresh;
  });
}
