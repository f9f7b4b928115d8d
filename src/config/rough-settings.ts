import { dirname, resolve } from 'node:path';
import { camelDomain, normalizeDomain } from '../message/stream-name.ts';
import type { Config } from './config.ts';
import { findDocument } from './find-file.ts';
import type { LoadOptions } from './load-config.ts';
import { layer } from './overlay.ts';
import type { TomlValue } from './tree.ts';
import { isTable, valueAt } from './tree.ts';

/** So long does a module have when the file cannot say. */
const importTimeoutMs = 30_000;

/**
 * What handlers and schemas are found and checked by, of a file that has faults: as much as can be read of it. Null where not even
 * that is there. Throws ConfigError for a file that is no TOML.
 */
export function roughSettings(
  options: LoadOptions,
): Pick<Config, 'handlers' | 'domain' | 'databases' | 'brokers' | 'schemas'> | null {
  const document = findDocument(options);
  const { environment } = options;
  const env = options.env || environment['DOMAIND_ENV'] || environment['PROTEAN_ENV'] || null;
  const { tree } = layer(document.root, env);
  const stated = valueAt(tree, ['handlers', 'path']);
  const paths = (Array.isArray(stated) ? stated : [stated]).filter((path) => typeof path === 'string');
  // A path with a variable in it would have to be expanded, which may be the very fault.
  if (paths.length === 0 || paths.some((path) => path === '' || path.includes('${'))) return null;
  const folder = dirname(document.file);
  const name = valueAt(tree, ['name']);
  const schemas = valueAt(tree, ['schemas', 'path']);
  const hasSchemas = typeof schemas === 'string' && schemas !== '' && !schemas.includes('${');
  const normalized = normalizeDomain(typeof name === 'string' ? name : 'domain') || 'domain';
  const namesIn = (value: TomlValue | undefined) => (isTable(value) ? Object.keys(value) : []);
  return {
    handlers: { paths: paths.map((path) => resolve(folder, path)), importTimeoutMs },
    domain: { name: normalized, normalized, camel: camelDomain(normalized) },
    databases: new Map(namesIn(tree['databases']).map((each) => [each, { provider: 'memory', name: each }])),
    schemas: { path: hasSchemas ? resolve(folder, schemas) : null, unknownFields: 'keep' },
    brokers: new Map(namesIn(tree['brokers']).map((each) => [each, { provider: 'inline', name: each }])),
  };
}
