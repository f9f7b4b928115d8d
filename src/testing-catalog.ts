import type { Config } from './config/config.ts';
import { upcastersIn } from './handler/upcaster.ts';
import type { Catalog } from './message/catalog.ts';
import { ConfigError } from './runtime/errors.ts';
import { createCatalog } from './schema/catalog.ts';
import { loadSchemas } from './schema/load-schemas.ts';

/** The schemas of `[schemas] path`, and the upcasters of the modules. */
export async function catalogIn(
  modules: { readonly [name: string]: unknown },
  { schemas: settings }: Config,
): Promise<Catalog> {
  const { upcasts, faults: ofUpcasters } = upcastersIn('test', Object.entries(modules));
  const schemas = await loadSchemas(settings.path);
  const { catalog, faults } = createCatalog(settings, schemas, upcasts);
  const bad = ofUpcasters.map(({ name, place, sentence }) => ({
    code: 'bad_upcaster',
    where: place,
    message: `${name}: ${sentence}`,
  }));
  const all = [...schemas.faults, ...bad, ...faults];
  if (all.length > 0) throw new ConfigError(all);
  return catalog;
}
