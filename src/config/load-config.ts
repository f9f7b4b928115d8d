import { ConfigError } from '../runtime/errors.ts';
import { coerce } from './coerce.ts';
import type { Config } from './config.ts';
import { conflicts } from './conflicts.ts';
import { type Effective, renderFindings } from './effective.ts';
import { findDocument } from './find-file.ts';
import { interpolate } from './interpolate.ts';
import { normalize } from './normalize.ts';
import { layer } from './overlay.ts';
import { isSecretName } from './secrets.ts';
import { keyOf } from './tree.ts';
import { validate } from './validate.ts';
import { createVariables } from './variables.ts';
import { warningsOf } from './warnings.ts';

export interface LoadOptions {
  /** What `--config` says, or null: DOMAIND_CONFIG, else searched for. */
  readonly path: string | null;
  /** What `--env` says, or null: DOMAIND_ENV, else PROTEAN_ENV. */
  readonly env: string | null;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Loaded {
  readonly config: Config;
  /** For people, one sentence each: nothing that keeps the daemon from starting. */
  readonly warnings: readonly string[];
  readonly effective: Effective;
}

/**
 * Finds, reads, checks and normalizes domain.toml. Throws ConfigError with every fault at once, each with its place in
 * the file and in the order of the file; but a file that cannot be read or parsed has that one fault only.
 */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const { environment } = options;
  const document = findDocument(options);
  const env = options.env || environment['DOMAIND_ENV'] || environment['PROTEAN_ENV'] || null;
  const layered = layer(document.root, env);
  const { tree: expanded, variables, findings } = interpolate(layered.tree, createVariables(environment));
  const tree = coerce(expanded, variables);
  const effective: Effective = { document, env, tree, layered, variables };
  const told = new Set(findings.map(({ path }) => keyOf(path)));
  const hidden = new Set([...variables].filter(([, names]) => names.some(isSecretName)).map(([key]) => key));
  const later = [...validate(tree, hidden), ...conflicts(tree, document.file)];
  const all = [
    ...document.findings,
    ...layered.findings,
    ...findings,
    ...later.filter(({ path }) => !told.has(keyOf(path))),
  ];
  if (all.length > 0) throw new ConfigError(renderFindings(all, effective));
  const config = normalize(tree, document.file, env);
  return { config, warnings: warningsOf(effective, config), effective };
}
