import type { DomainConfig } from '../config/config.ts';
import { ConfigError, UsageError } from '../runtime/errors.ts';
import { clashes } from './clashes.ts';
import { isHandlerDefinition } from './define.ts';
import type { LoadedHandler } from './loaded-handler.ts';
import { toLoadedHandler } from './loaded-handler.ts';

/**
 * The handlers among the exports of modules, as `import * as orders from './orders.js'` gives them; others are passed over.
 * Throws UsageError where there are none or one is wrong, and ConfigError where two cannot both be in one domain.
 */
export function givenHandlers(
  modules: { readonly [name: string]: unknown },
  domain: DomainConfig,
): readonly LoadedHandler[] {
  const loaded = Object.entries(modules).flatMap(([name, definition]) =>
    isHandlerDefinition(definition) ? [toLoadedHandler({ file: 'given', name, definition }, domain)] : [],
  );
  if (loaded.length === 0) throw new UsageError('none of the given exports is a handler');
  const faults = loaded.flatMap((each) => each.faults.map((fault) => `${each.handler.name}: ${fault}`));
  if (faults.length > 0) throw new UsageError(faults.join('\n'));
  const handlers = loaded.map(({ handler }) => handler);
  const clashing = clashes(handlers);
  if (clashing.length > 0) throw new ConfigError(clashing);
  return handlers;
}
