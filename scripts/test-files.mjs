// @ts-check
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';

/** What `npm test` runs when nothing is named; test/faults takes its time and has a command of its own. */
export const defaultFolders = [
  'test/unit',
  'test/docs',
  'test/conformance',
  'test/integration',
  'test/simulation',
  'test/e2e',
];

/**
 * `npm test -- …` taken apart: options for node, tests by file or folder, and names that are neither.
 * @param {readonly string[]} args
 * @param {string} root
 */
export function readArguments(args, root) {
  const options = args.filter((arg) => arg.startsWith('-'));
  const named = args.filter((arg) => !arg.startsWith('-'));
  return {
    options,
    unknown: named.filter((name) => !existsSync(resolve(root, name))),
    files: testFiles(named.length > 0 ? named : defaultFolders, root),
  };
}

/**
 * The test files in or among `places`, as paths from `root`, sorted: node 20 expands no patterns itself.
 * @param {readonly string[]} places
 * @param {string} root
 */
function testFiles(places, root) {
  const found = places
    .map((place) => resolve(root, place))
    .filter((place) => existsSync(place))
    .flatMap((place) => (statSync(place).isDirectory() ? testsWithin(place) : [place]));
  return [...new Set(found.map((file) => relative(root, file).split(sep).join('/')))].sort();
}

/** @param {string} folder */
const testsWithin = (folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join(folder, file));

/**
 * Whether one of them may start servers, as all of test/ may but the unit tests.
 * @param {readonly string[]} files
 */
export const needsServers = (files) => files.some((file) => /^test\/(?!unit\/)/.test(file));
