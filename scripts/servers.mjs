// @ts-check
// The servers that the tests start themselves, on free ports and in folders of their own: found here, installed where
// that can be done without asking.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where programs stand besides the PATH. Debian keeps PostgreSQL's off it, in one folder a version. */
const places = { usual: ['/usr/local/bin', '/opt/homebrew/bin', '/usr/sbin'], debian: '/usr/lib/postgresql' };

/** While it says 101, Debian's packages start no service on installation (policy-rc.d, Debian policy 9.3.3). */
const servicePolicy = '/usr/sbin/policy-rc.d';

/**
 * A program that tests need, and the Debian package that has it.
 * @typedef {{ readonly program: string, readonly packageName: string, readonly means: string }} Server
 */

/** @type {readonly Server[]} */
const needed = [
  { program: 'redis-server', packageName: 'redis-server', means: 'redis-server' },
  { program: 'initdb', packageName: 'postgresql', means: 'PostgreSQL' },
  { program: 'pgbouncer', packageName: 'pgbouncer', means: 'PgBouncer' },
];

/**
 * Folders that may hold a server's programs, those of the PATH first.
 * @param {string} path
 */
export function programFolders(path, { usual, debian } = places) {
  const versions = existsSync(debian) ? readdirSync(debian).map((name) => join(debian, name, 'bin')) : [];
  return [...path.split(delimiter).filter((folder) => folder !== ''), ...usual, ...versions];
}

/**
 * The servers whose program stands in none of `folders`.
 * @param {readonly string[]} folders
 */
export const missingServers = (folders) =>
  needed.filter(({ program }) => !folders.some((folder) => existsSync(join(folder, program))));

/**
 * The one sentence for a machine where nothing may be installed without asking.
 * @param {readonly Server[]} missing
 */
export const installAdvice = (missing) =>
  `These tests start ${missing
    .map(({ means }) => means)
    .join(', ')
    .replace(/, ([^,]+)$/, ' and $1')} themselves: install with ` +
  `\`apt-get install ${missing.map(({ packageName }) => packageName).join(' ')}\` or your system's own way ` +
  `(the unit tests need none of them: \`npm test -- test/unit\`).`;

/** Whether packages can be installed here without asking anybody: root on Debian or its kin. */
export const mayInstall = () => process.getuid?.() === 0 && existsSync('/etc/debian_version');

/**
 * Installs Debian's packages and leaves no service of theirs running. True when all of it succeeded.
 * @param {readonly Server[]} missing
 */
export function install(missing) {
  const packages = missing.map(({ packageName }) => packageName);
  console.error(`Installing ${packages.join(', ')} for the tests (their services stay stopped).`);
  const forbidServices = !existsSync(servicePolicy);
  if (forbidServices) writeFileSync(servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return (
      aptGet('update', '--quiet=2') && aptGet('install', '--yes', '--quiet=2', '--no-install-recommends', ...packages)
    );
  } finally {
    if (forbidServices) rmSync(servicePolicy, { force: true });
  }
}

/** @param {readonly string[]} args */
function aptGet(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
}
