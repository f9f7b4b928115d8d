import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest: { readonly version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const lock: { readonly packages: { readonly [path: string]: { readonly dev?: boolean } } } = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
);

const folder = mkdtempSync(join(tmpdir(), 'domaind-package-'));
const source = join(folder, 'source');
const app = join(folder, 'app');
after(() => rmSync(folder, { recursive: true, force: true }));

/** Without what `npm test` tells its children about this project: npm and the command must see theirs. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|DOMAIND_|PROTEAN_)/i.test(name)),
);

function run(cwd: string, command: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env: environment, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function succeed(cwd: string, command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = run(cwd, command, ...args);
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** The tree again, so that building it here disturbs nobody who uses dist there. */
function copyTree(): void {
  const wanted = ['src', 'config', 'scripts', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
  for (const name of [...wanted, 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    cpSync(join(root, name), join(source, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'));
}

/** What an application has before it installs domaind: here, the packages that domaind needs, so that none is fetched. */
function provideDependencies(): void {
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    if (path !== '' && !dev && existsSync(join(root, path)))
      cpSync(join(root, path), join(app, path), { recursive: true });
  }
  writeFileSync(join(app, 'package.json'), '{ "name": "shop", "private": true, "type": "module" }');
}

const domaind = (...args: readonly string[]) => run(app, process.execPath, 'node_modules/.bin/domaind', ...args);

describe('the npm package', () => {
  let packed: { readonly filename: string; readonly files: readonly { readonly path: string }[] };

  before(() => {
    mkdirSync(app);
    mkdirSync(source);
    copyTree();
    const answer: readonly (typeof packed)[] = JSON.parse(
      succeed(source, 'npm', 'pack', '--json', '--silent', '--pack-destination', folder),
    );
    const [first] = answer;
    assert.ok(first);
    packed = first;
    provideDependencies();
    succeed(app, 'npm', 'install', '--offline', '--ignore-scripts', '--no-audit', join(folder, packed.filename));
  });

  it('holds what runs, its data and its papers, and nothing else', () => {
    const tops = new Set(packed.files.map(({ path }) => path.split('/')[0]));
    assert.deepEqual([...tops].sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'config', 'dist', 'package.json']);
    const strangers = packed.files.filter(({ path }) => /(?<!\.d)\.ts$|lint\.json$/.test(path));
    assert.deepEqual(strangers, []);
  });

  it('installs as a command that runs without tsx', () => {
    assert.equal(existsSync(join(app, 'node_modules/tsx')), false);
    const { status, stdout, stderr } = domaind('version');
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(manifest.version.replaceAll('.', '\\.')));
  });

  it('loads handlers written in plain JavaScript', () => {
    mkdirSync(join(app, 'handlers'));
    writeFileSync(
      join(app, 'handlers/order.js'),
      `import { commandHandler } from 'domaind';
      export const Orders = commandHandler({ category: 'order', handles: { PlaceOrder: async () => {} } });`,
    );
    writeFileSync(
      join(app, 'domain.toml'),
      `name = "shop"
      [handlers]
      path = "handlers"
      [databases.default]
      provider = "memory"
      [brokers.default]
      provider = "inline"
      [server]
      default_subscription_type = "stream"
      [server.health]
      enabled = false`,
    );
    const { status, stdout, stderr } = domaind('server', '--dry-run');
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^Orders +shop::order:command /m);
  });

  it('refuses a handler module that is broken, with its place', () => {
    writeFileSync(join(app, 'handlers/broken.js'), 'export const Orders = commandHandler(;');
    const { status, stdout, stderr } = domaind('server', '--dry-run');
    rmSync(join(app, 'handlers/broken.js'));
    assert.equal(status, 78, stdout + stderr);
    assert.match(stderr, /handlers\/broken\.js:1/);
  });

  it('brings types for what it exports', () => {
    const consumer = join(app, 'consumer.ts');
    writeFileSync(
      consumer,
      `import { commandHandler, NonRetryableError } from 'domaind';
      import { connect } from 'domaind/client';
      export const Orders = commandHandler({
        category: 'order',
        handles: { PlaceOrder: (command, ctx) => { if (ctx.attempt > 1) throw new NonRetryableError(command.name); } },
      });
      // @ts-expect-error: a category is needed
      export const Wrong = commandHandler({ handles: {} });
      export const client = connect;`,
    );
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck'];
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
    succeed(app, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), ...options, ...types, consumer);
  });
});
