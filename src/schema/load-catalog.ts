import type { Catalog } from '../message/catalog.ts';
import { ConfigError } from '../runtime/errors.ts';
import type { CatalogOptions } from './catalog.ts';
import { createCatalog } from './catalog.ts';
import { loadSchemas } from './load-schemas.ts';

/** The catalog of those who only send, and need no upcasters. Throws ConfigError with every fault of the schemas. */
export async function loadCatalog({
  path,
  unknownFields,
}: CatalogOptions & { readonly path: string | null }): Promise<Catalog> {
  const schemas = await loadSchemas(path);
  if (schemas.faults.length > 0) throw new ConfigError(schemas.faults);
  return createCatalog({ unknownFields }, schemas, []).catalog;
}
