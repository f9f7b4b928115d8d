import { lstatSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { ConfigError } from '../runtime/errors.ts';
import { type Document, readDocument } from './load.ts';

export interface Whereabouts {
  /** What `--config` says, or null. */
  readonly path: string | null;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const names = ['.domain.toml', 'domain.toml', 'pyproject.toml'];
const parents = 2;

/**
 * The configuration file that is meant: `--config`, else `$DOMAIND_CONFIG`, else the first of `.domain.toml`,
 * `domain.toml` and `pyproject.toml` (with `[tool.protean]`) in the working directory or up to two parents.
 * Throws ConfigError when there is none, or when it cannot be read.
 */
export function findDocument({ path, cwd, environment }: Whereabouts): Document {
  const variable = environment['DOMAIND_CONFIG'] || null;
  const stated = path ?? variable;
  if (stated !== null) return statedDocument(resolve(cwd, stated), cwd, path === null);
  const folders = foldersFrom(resolve(cwd));
  for (const folder of folders) {
    for (const name of names) {
      const file = join(folder, name);
      const document = isThere(file) ? readDocument(file, displayName(file, cwd)) : null;
      if (document) return document;
    }
  }
  const message = `no configuration: looked for .domain.toml, domain.toml and pyproject.toml with [tool.protean], here and in ${folders.length - 1} folders above; name a file with --config or DOMAIND_CONFIG`;
  throw new ConfigError([{ code: 'missing', where: resolve(cwd), message }]);
}

function statedDocument(file: string, cwd: string, byVariable: boolean): Document {
  const name = displayName(file, cwd);
  const said = byVariable ? ' (named by DOMAIND_CONFIG)' : '';
  if (!isThere(file)) throw new ConfigError([{ code: 'unreadable', where: name, message: `does not exist${said}` }]);
  const document = readDocument(file, name);
  if (document) return document;
  throw new ConfigError([{ code: 'missing', where: name, message: `has no [tool.protean] table${said}` }]);
}

/** A link that leads nowhere is there too, and its fault is told. */
const isThere = (file: string): boolean => lstatSync(file, { throwIfNoEntry: false }) !== undefined;

function foldersFrom(folder: string): readonly string[] {
  const folders = [folder];
  for (let count = 0; count < parents; count += 1) {
    const above = dirname(folders.at(-1) ?? folder);
    if (above === folders.at(-1)) break;
    folders.push(above);
  }
  return folders;
}

/** A file's name as editors open it from the working directory: relative, unless it is far away. */
function displayName(file: string, cwd: string): string {
  const near = relative(resolve(cwd), file);
  return isAbsolute(near) || near.startsWith('../../../') ? file : near;
}
