import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join, sep } from 'node:path';
import type { Fault } from '../runtime/errors.ts';

/** The files to import, in the order of their names, and what stands in the way of others. */
export interface FoundModules {
  /** Absolute. */
  readonly files: readonly string[];
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

const extensions: readonly string[] = ['.js', '.mjs', '.ts', '.mts'];
/** In folders only: a file that domain.toml names is taken whatever its name. */
const passedOver = /^[._]|^node_modules$|\.(test|spec)\.\w+$|\.d\.m?ts$/;

/**
 * The modules at these paths: files as they are, folders with all that is below them but `node_modules`, tests,
 * declarations and names that begin with `.` or `_`. A link in a folder must lead to a place below that folder.
 */
export async function findModules(paths: readonly string[]): Promise<FoundModules> {
  const found: Found = { files: new Map(), folders: new Map(), faults: [], warnings: [] };
  for (const path of paths) await findAt(path, found);
  return { files: [...found.files.values()], faults: found.faults, warnings: found.warnings };
}

interface Found {
  /** By their real paths, so that no module is loaded twice. */
  readonly files: Map<string, string>;
  readonly folders: Map<string, string>;
  readonly faults: Fault[];
  readonly warnings: string[];
}

async function findAt(path: string, found: Found): Promise<void> {
  const real = await asFault(path, found, () => realpath(path));
  if (real === null) return;
  if (!(await stat(real)).isDirectory()) return await take(path, real, found);
  const before = found.files.size + found.faults.length;
  await walk(path, real, real, found);
  if (found.files.size + found.faults.length > before) return;
  const rest = 'tests and names that begin with . or _ are passed over';
  refuse(found, 'no_modules', path, `has no handler modules: looked for ${extensions.join(', ')}; ${rest}`);
}

async function walk(folder: string, real: string, root: string, found: Found): Promise<void> {
  const already = found.folders.get(real);
  if (already !== undefined) {
    refuse(found, 'same_folder', folder, `is the same folder as ${already}: keep one of the two`);
    return;
  }
  found.folders.set(real, folder);
  const entries = await asFault(folder, found, () => readdir(real, { withFileTypes: true }));
  const named = (entries ?? []).filter(({ name }) => !passedOver.test(name));
  // By code unit, so that the order is the same on every machine.
  for (const entry of named.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    const target = entry.isSymbolicLink() ? await followLink(path, root, found) : join(real, entry.name);
    if (target === null) continue;
    if ((await stat(target)).isDirectory()) await walk(path, target, root, found);
    else if (extensions.includes(extname(entry.name))) await take(path, target, found);
  }
}

/** Where a link leads; null, with a fault, where that is outside of `root`. */
async function followLink(path: string, root: string, found: Found): Promise<string | null> {
  const real = await asFault(path, found, () => realpath(path));
  if (real === null || `${real}${sep}`.startsWith(`${root}${sep}`)) return real;
  return refuse(found, 'outside', path, `is a link to ${real}, outside of the handlers folder: copy the file into it`);
}

async function take(path: string, real: string, found: Found): Promise<void> {
  const extension = extname(path);
  if (!extensions.includes(extension)) {
    const what = extension === '' ? 'has no extension' : `has the extension ${extension}`;
    refuse(found, 'unknown_extension', path, `${what}: a handler module ends in ${extensions.join(', ')}`);
    return;
  }
  const already = found.files.get(real);
  if (already !== undefined) {
    refuse(found, 'same_file', path, `is the same file as ${already}: keep one of the two`);
    return;
  }
  const { mode, uid, size } = await stat(real);
  if (size === 0) {
    refuse(
      found,
      'empty',
      path,
      `is empty: export a handler from it, or name it _${basename(path)} to have it passed over`,
    );
    return;
  }
  if (uid === 0 && (mode & 0o022) !== 0) {
    found.warnings.push(`${path} belongs to root and others may write to it: chmod go-w ${path}`);
  }
  found.files.set(real, path);
}

function refuse(found: Found, code: string, where: string, message: string): null {
  found.faults.push({ code, where, message });
  return null;
}

const sentences: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'does not exist: mend [handlers] path in domain.toml'],
  ['ENOTDIR', 'does not exist: mend [handlers] path in domain.toml'],
  ['EACCES', 'may not be read by the user that runs domaind'],
  ['ELOOP', 'is a link that leads to itself'],
]);

/** What `look` finds; null, with a fault, where the file system refuses. */
async function asFault<T>(path: string, found: Found, look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const sentence = sentences.get(code);
    if (sentence === undefined) throw error;
    return refuse(found, code === 'ENOENT' ? 'missing' : 'unreadable', path, sentence);
  }
}
