import { basename, dirname, resolve } from 'node:path';
import { checkConnections } from './check-connections.ts';
import { checkLimits } from './check-limits.ts';
import { checkNames } from './check-names.ts';
import { checkReferences } from './check-references.ts';
import { checkServer } from './check-server.ts';
import type { Finding } from './finding.ts';
import { readLayers } from './layers.ts';
import { createReader } from './reader.ts';
import type { Table } from './tree.ts';

/**
 * Everything that a schema cannot say of an effective configuration: what must be there together, what must not, what a
 * name stands for. Takes a tree that the schema may have refused, and looks only at what is of the right type.
 */
export function conflicts(tree: Table, file: string): readonly Finding[] {
  const reader = createReader(tree);
  const layers = readLayers(reader);
  return [
    ...checkNames(reader, tree, basename(dirname(file))),
    ...checkConnections(reader, (path) => resolve(dirname(file), path)),
    ...checkReferences(reader, layers),
    ...checkLimits(reader),
    ...checkServer(reader, layers),
  ];
}
