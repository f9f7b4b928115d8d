import type { Config } from '../config/config.ts';
import type { HandlerSettings, LoadDeps } from '../handler/load-handlers.ts';
import { loadHandlers } from '../handler/load-handlers.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import type { Catalog } from '../message/catalog.ts';
import { ConfigError } from '../runtime/errors.ts';
import { createCatalog } from '../schema/catalog.ts';
import { loadSchemas } from '../schema/load-schemas.ts';

/** What the domain's people have written, besides domain.toml. */
export interface LoadedDomain {
  readonly handlers: readonly LoadedHandler[];
  readonly catalog: Catalog;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/** Loads handlers, upcasters and schemas. Throws ConfigError with all that is wrong with any of them. */
export async function loadDomain(
  config: HandlerSettings & Pick<Config, 'schemas'>,
  deps: LoadDeps,
): Promise<LoadedDomain> {
  const schemas = await loadSchemas(config.schemas.path);
  const { handlers, upcasters, warnings } = await loadHandlers(config, deps).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([...schemas.faults, ...error.faults]);
  });
  if (schemas.faults.length > 0) throw new ConfigError(schemas.faults);
  const made = createCatalog(config.schemas, schemas, upcasters);
  if (made.faults.length > 0) throw new ConfigError(made.faults);
  return { handlers, catalog: made.catalog, warnings: [...warnings, ...made.warnings] };
}
