// @ts-check
// npm run sbom: dist/sbom.cdx.json, the bill of materials (CycloneDX) of what runs, made of package-lock.json. `npm pack` ships it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** @param {string} file */
const read = (file) => JSON.parse(readFileSync(join(root, file), 'utf8'));

const folder = mkdtempSync(join(tmpdir(), 'domaind-sbom-'));
try {
  writeFileSync(join(root, 'dist/sbom.cdx.json'), billOf(withoutDevelopment()));
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * A folder with the manifest and the lock of what runs alone: `npm sbom --omit=dev` leaves out what a development
 * package needs as well (npm 11.19). npm calls the component after the folder.
 */
function withoutDevelopment() {
  const { devDependencies: _, ...manifest } = read('package.json');
  const lock = read('package-lock.json');
  const { devDependencies: __, ...top } = lock.packages[''];
  const running = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev);
  const at = join(folder, manifest.name);
  mkdirSync(at);
  writeFileSync(join(at, 'package.json'), JSON.stringify(manifest));
  const packages = { '': top, ...Object.fromEntries(running) };
  writeFileSync(join(at, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
  return at;
}

/** @param {string} cwd */
function billOf(cwd) {
  // Of all that npm hands to its scripts, what says how `npm pack` was called is not for `npm sbom`.
  const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const { status, stdout, stderr } = spawnSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx'], {
    cwd,
    env: Object.fromEntries(own),
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`npm sbom has failed: ${stderr}`);
  return stdout;
}
