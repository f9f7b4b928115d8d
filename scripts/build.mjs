// @ts-check
// npm run build: src → dist, as `npm pack` ships it. dist is replaced only by a build that succeeded.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** @param {readonly string[]} parts */
const at = (...parts) => join(root, ...parts);
// Of this run alone: two builds at once must not take each other's files.
const fresh = at('.dist-new', String(process.pid));

process.exitCode = build();

function build() {
  rmSync(fresh, { recursive: true, force: true });
  try {
    const tsc = [at('node_modules/typescript/bin/tsc'), '--project', at('tsconfig.build.json'), '--outDir', fresh];
    const { status } = spawnSync(process.execPath, tsc, { cwd: root, stdio: 'inherit' });
    if (status !== 0) return 1;
    copyOtherFiles();
    makeExecutable(join(fresh, 'main.js'));
    rmSync(at('dist'), { recursive: true, force: true });
    renameSync(fresh, at('dist'));
    return 0;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** What stands beside the code and is read at run time (SQL, Lua, templates) goes with it. */
function copyOtherFiles() {
  /** @param {string} path */
  const wanted = (path) => statSync(path).isDirectory() || !path.endsWith('.ts');
  cpSync(at('src'), fresh, { recursive: true, filter: wanted });
}

/**
 * npm links this file as `domaind`, so the system must know what to run it with.
 * @param {string} file
 */
function makeExecutable(file) {
  const code = readFileSync(file, 'utf8');
  if (!code.startsWith('#!')) writeFileSync(file, `#!/usr/bin/env node\n${code}`);
  chmodSync(file, 0o755);
}
