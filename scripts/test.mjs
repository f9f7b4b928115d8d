// @ts-check
// npm test: every test but test/faults, or those named, with node's own runner.
//   npm test                                       all of them
//   npm test -- test/unit test/e2e/package.test.ts folders and files
//   npm test -- --test-name-pattern=lease          node's own options, written with `=`
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install, installAdvice, mayInstall, missingServers, programFolders } from './servers.mjs';
import { needsServers, readArguments } from './test-files.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** In Node 20 this bounds a whole file, in later versions each test. */
const timeoutMs = 300_000;

/** Settings of the developer's own daemon, which tests must not pick up. */
const ambient = ['DOMAIND_CONFIG', 'DOMAIND_ENV', 'PROTEAN_ENV', 'NODE_TEST_CONTEXT'];

const { options, unknown, files } = readArguments(process.argv.slice(2), root);
if (unknown.length > 0) refuse(`No such test file or folder: ${unknown.join(', ')}.`);
if (files.length === 0) refuse('There is no test file in what was named.');
if (!existsSync(join(root, 'node_modules/tsx'))) refuse('Run `npm ci` first: the tests run through tsx.');
if (needsServers(files)) provideServers();
run(files.some((file) => /e2e|docs/.test(file)) ? build() : {});

function provideServers() {
  const missing = () => missingServers(programFolders(process.env['PATH'] ?? ''));
  if (missing().length === 0) return;
  if (!mayInstall() || !install(missing()) || missing().length > 0) refuse(installAdvice(missing()));
}

/** Daemons of the tests run as users run them: built. The environment that says where. */
function build() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, stdio: 'inherit' });
  if (status !== 0) refuse('The build has failed.');
  return { DOMAIND_TEST_ENTRY: join(root, 'dist/main.js') };
}

/** @param {Readonly<Record<string, string>>} built */
function run(built) {
  /** @param {string} name */
  const stated = (name) => options.some((option) => option === name || option.startsWith(`${name}=`));
  /** @type {readonly (readonly [string, string])[]} */
  const defaults = [
    ['--test-reporter', 'spec'],
    ['--test-concurrency', '2'],
    ['--test-timeout', String(timeoutMs)],
  ];
  const own = Object.entries(process.env).filter(([name]) => !ambient.includes(name));
  const env = { ...Object.fromEntries(own), ...built };
  const runner = spawn(
    process.execPath,
    [
      '--conditions=domaind-source',
      '--import=tsx',
      '--test',
      ...defaults.filter(([name]) => !stated(name)).map(([name, value]) => `${name}=${value}`),
      ...options,
      ...files,
    ],
    { cwd: root, env, stdio: 'inherit' },
  );
  process.on('SIGINT', () => runner.kill('SIGINT'));
  process.on('SIGTERM', () => runner.kill('SIGTERM'));
  runner.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}

/**
 * @param {string} sentence
 * @returns {never}
 */
function refuse(sentence) {
  console.error(sentence);
  process.exit(1);
}
