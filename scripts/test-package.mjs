// @ts-check
// npm run test:package: packs domaind and tries the tarball in empty folders, by npx, on the oldest Node that is supported and on
// the lines that live; then the quickstart in a fresh clone of what is committed. Node's binaries come from npm and are kept
// outside of the tree.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolsFolder } from './deploy-tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tests = ['node-versions', 'fresh-clone'].map((name) => join(root, `test/package/${name}.test.ts`));
const versions = ['20.19.0', '24.21.0', '26.10.0'];

const folder = mkdtempSync(join(tmpdir(), 'domaind-tarball-'));
try {
  mkdirSync(toolsFolder, { recursive: true });
  const nodes = versions.map(nodeBinary);
  run('npm', ['pack', '--silent', '--pack-destination', folder], root);
  const [tarball = ''] = readdirSync(folder);
  process.exitCode = test(join(folder, tarball), nodes);
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * The path of that Node, fetched once.
 * @param {string} version
 */
function nodeBinary(version) {
  const at = join(toolsFolder, `node-${version}-${process.arch}`);
  if (existsSync(at)) return at;
  console.error(`Fetching Node ${version} (once).`);
  const scratch = mkdtempSync(join(tmpdir(), 'domaind-node-'));
  run('npm', ['pack', '--silent', `node-${process.platform}-${process.arch}@${version}`], scratch);
  const [archive = ''] = readdirSync(scratch);
  run('tar', ['-xzf', archive, '--strip-components=2', 'package/bin/node'], scratch);
  // By a copy: the folders may be on different disks.
  cpSync(join(scratch, 'node'), `${at}.${process.pid}`);
  renameSync(`${at}.${process.pid}`, at);
  rmSync(scratch, { recursive: true });
  return at;
}

/**
 * @param {string} tarball
 * @param {readonly string[]} nodes
 */
function test(tarball, nodes) {
  const { status } = spawnSync(
    process.execPath,
    ['--import=tsx', '--test', '--test-reporter=spec', '--test-concurrency=1', ...tests],
    {
      cwd: root,
      env: { ...process.env, DOMAIND_TEST_TARBALL: tarball, DOMAIND_TEST_NODES: nodes.join(':') },
      stdio: 'inherit',
    },
  );
  return status ?? 1;
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} cwd
 */
function run(program, args, cwd) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (error !== undefined || status !== 0)
    throw new Error(`${program} ${args.join(' ')} has failed.`, { cause: error });
}
