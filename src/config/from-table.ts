import { ConfigError } from '../runtime/errors.ts';
import type { Config } from './config.ts';
import { conflicts } from './conflicts.ts';
import { messageOf } from './finding.ts';
import { normalize } from './normalize.ts';
import { layer } from './overlay.ts';
import { refuseUnsafe } from './unsafe-values.ts';
import { validate } from './validate.ts';

/**
 * A configuration without a file: from a table as domain.toml would hold it, with no overlay and no variables. `file`: what
 * paths are relative to, as if it were there. Throws ConfigError with every fault, like `loadConfig`, and `where` for their place.
 */
export function configFromTable(table: { readonly [key: string]: unknown }, file: string, where = 'settings'): Config {
  const { tree: root, findings: unsafe } = refuseUnsafe(table, []);
  const { tree, findings } = layer(root, null);
  const all = [...unsafe, ...findings, ...validate(tree), ...conflicts(tree, file)];
  if (all.length === 0) return normalize(tree, file, null);
  throw new ConfigError(
    all.map((finding) => ({ code: finding.code, where, message: messageOf(finding, finding.path) })),
  );
}
