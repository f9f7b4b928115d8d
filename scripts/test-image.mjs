// @ts-check
// npm run test:image: builds the image from the Dockerfile without a registry and runs test/image against it. The base is
// Debian by debootstrap with Node's binary from npm; buildah builds in a chroot, so that no container engine is needed.
// As root on Debian or its kin.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolsFolder } from './deploy-tools.mjs';
import { install, mayInstall } from './servers.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const debian = { release: 'bookworm', mirror: 'http://deb.debian.org/debian' };
const node = { package: `node-linux-${process.arch}`, version: process.env['NODE_VERSION'] || '24.21.0' };
const names = { base: 'localhost/domaind-base', image: 'localhost/domaind-test' };
const chroot = ['--isolation', 'chroot'];

/** @type {string[]} */
const containers = [];
try {
  provide();
  makeBase(debianRoot(), nodeBinary());
  build();
  process.exitCode = test();
} finally {
  for (const each of containers) spawnSync('buildah', ['rm', each], { stdio: 'ignore' });
}

function provide() {
  const missing = ['buildah', 'debootstrap']
    .filter(
      (program) => !(process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program))),
    )
    .map((program) => ({ program, packageName: program, means: program }));
  if (missing.length > 0 && !(mayInstall() && install(missing)))
    throw new Error(`${missing.map(({ means }) => means).join(' and ')} must be installed, and this be run as root.`);
  mkdirSync(toolsFolder, { recursive: true });
}

/** Debian's least, made once. */
function debianRoot() {
  const at = join(toolsFolder, `debian-${debian.release}`);
  if (existsSync(at)) return at;
  const unfinished = `${at}.${process.pid}`;
  run('debootstrap', ['--variant=minbase', debian.release, unfinished, debian.mirror]);
  renameSync(unfinished, at);
  return at;
}

/** Node's own binary, as npm has it, fetched once. */
function nodeBinary() {
  const at = join(toolsFolder, `node-${node.version}-${process.arch}`);
  if (existsSync(at)) return at;
  const folder = mkdtempSync(join(tmpdir(), 'domaind-node-'));
  run('npm', ['pack', '--silent', `${node.package}@${node.version}`], folder);
  const [archive = ''] = readdirSync(folder);
  run('tar', ['-xzf', archive, '--strip-components=2', 'package/bin/node'], folder);
  // By a copy: the folders may be on different disks.
  cpSync(join(folder, 'node'), `${at}.${process.pid}`);
  renameSync(`${at}.${process.pid}`, at);
  rmSync(folder, { recursive: true });
  return at;
}

/**
 * What `node:24-slim` is elsewhere: Debian, Node and npm, which here is this machine's.
 * @param {string} debianAt
 * @param {string} nodeAt
 */
function makeBase(debianAt, nodeAt) {
  const tag = `${names.base}:${node.version}`;
  if (spawnSync('buildah', ['inspect', '--type', 'image', tag], { stdio: 'ignore' }).status === 0) return;
  const container = read('buildah', ['from', 'scratch']);
  containers.push(container);
  const mounted = read('buildah', ['mount', container]);
  run('cp', ['-a', `${debianAt}/.`, mounted]);
  cpSync(nodeAt, join(mounted, 'usr/local/bin/node'));
  run('chmod', ['755', join(mounted, 'usr/local/bin/node')]);
  const npm = join(read('npm', ['root', '--global']), 'npm');
  cpSync(npm, join(mounted, 'usr/local/lib/node_modules/npm'), { recursive: true, dereference: true });
  run('ln', ['-s', '../lib/node_modules/npm/bin/npm-cli.js', join(mounted, 'usr/local/bin/npm')]);
  run('chmod', ['755', join(mounted, 'usr/local/lib/node_modules/npm/bin/npm-cli.js')]);
  run('buildah', ['config', '--env', 'PATH=/usr/local/bin:/usr/bin:/bin', container]);
  run('buildah', ['commit', '--quiet', container, tag]);
}

function build() {
  // How this machine reaches npm's packages, and none of its credentials.
  const folder = mkdtempSync(join(tmpdir(), 'domaind-npmrc-'));
  const settings = ['registry', 'cafile'].flatMap((key) => {
    const value = read('npm', ['config', 'get', key]);
    return ['null', 'undefined', ''].includes(value) ? [] : [`${key}=${value}\n`];
  });
  writeFileSync(join(folder, 'npmrc'), settings.join(''));
  const mounts = ['/etc/ssl/certs:/etc/ssl/certs:ro', `${join(folder, 'npmrc')}:/usr/local/etc/npmrc:ro`];
  run('buildah', [
    'bud',
    ...chroot,
    '--format',
    'docker',
    '--build-arg',
    `NODE_IMAGE=${names.base}:${node.version}`,
    ...mounts.flatMap((mount) => ['--volume', mount]),
    '--tag',
    names.image,
    root,
  ]);
  rmSync(folder, { recursive: true });
}

/** Runs the tests on a container of the image, laid out on this machine. */
function test() {
  const container = read('buildah', ['from', '--pull-never', names.image]);
  containers.push(container);
  const described = read('buildah', ['inspect', '--type', 'image', names.image]);
  const { status } = spawnSync(
    process.execPath,
    [
      '--conditions=domaind-source',
      '--import=tsx',
      '--test',
      '--test-reporter=spec',
      join(root, 'test/image/image.test.ts'),
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        NODE_TEST_CONTEXT: undefined,
        DOMAIND_IMAGE_ROOT: read('buildah', ['mount', container]),
        DOMAIND_IMAGE: JSON.stringify(JSON.parse(described).Docker.config),
      },
    },
  );
  return status ?? 1;
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 */
function run(program, args, cwd = root) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined || status !== 0) throw new Error(`${program} ${args.join(' ')} has failed`, { cause: error });
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 */
function read(program, args) {
  const { status, stdout, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 16 * 1024 * 1024,
  });
  if (error !== undefined || status !== 0) throw new Error(`${program} ${args.join(' ')} has failed`, { cause: error });
  return stdout.trim();
}
