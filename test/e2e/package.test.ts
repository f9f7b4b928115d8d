import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest: { readonly version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly peer?: boolean;
}
const lock: { readonly packages: { readonly [path: string]: LockedPackage } } = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
);

/** Of the tree that is packed, what stands under src and is built; the template of `domaind init` goes as it is. */
const sourceFiles = (): readonly string[] =>
  readdirSync(join(source, 'src'), { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(join(source, 'src', '/').length))
    .map((file) => file.split(sep).join('/'));

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
  const wanted = [
    'src',
    'config',
    'scripts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ];
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

  it('holds what is made of src, its data, its bill of materials and its papers, and nothing else', () => {
    const made = sourceFiles().flatMap((file) =>
      /\.ts$/.test(file) ? [file.replace(/\.ts$/, '.d.ts'), file.replace(/\.ts$/, '.js')] : [file],
    );
    assert.deepEqual(
      packed.files.map(({ path }) => path).sort(),
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'config/domain.schema.json',
        'config/profiles.json',
        'package.json',
        'dist/sbom.cdx.json',
        ...made.map((file) => `dist/${file}`),
      ].sort(),
    );
  });

  it('runs no script when it is installed', () => {
    const { scripts }: { readonly scripts: { readonly [name: string]: string } } = JSON.parse(
      readFileSync(join(app, 'node_modules/domaind/package.json'), 'utf8'),
    );
    const installing = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare'];
    assert.deepEqual(
      installing.filter((name) => name in scripts),
      [],
    );
    // npm takes a gyp file for an install script.
    assert.equal(existsSync(join(app, 'node_modules/domaind/binding.gyp')), false);
  });

  it('has a bill of materials of every package that it brings', () => {
    const bill: {
      readonly bomFormat: string;
      readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
      readonly components: readonly { readonly purl: string }[];
    } = JSON.parse(readFileSync(join(app, 'node_modules/domaind/dist/sbom.cdx.json'), 'utf8'));
    assert.equal(bill.bomFormat, 'CycloneDX');
    assert.equal(bill.metadata.component.name, 'domaind');
    assert.equal(bill.metadata.component.version, manifest.version);
    const brought = Object.entries(lock.packages)
      .filter(([path, { dev, optional, peer }]) => path !== '' && !dev && !optional && !peer)
      .map(([path, { version }]) => {
        const name = path.replace(/^.*node_modules\//, '');
        return `pkg:npm/${name.replace('@', '%40')}@${version}`;
      });
    assert.deepEqual(bill.components.map(({ purl }) => purl).sort(), [...new Set(brought)].sort());
  });

  it('installs as a command that runs without tsx', () => {
    assert.equal(existsSync(join(app, 'node_modules/tsx')), false);
    const { status, stdout, stderr } = domaind('version');
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(manifest.version.replaceAll('.', '\\.')));
  });

  it('is there for CommonJS too', () => {
    const code = `const { commandHandler } = require('domaind'), { connect } = require('domaind/client');
      console.log(typeof commandHandler, typeof connect)`;
    assert.equal(succeed(app, process.execPath, '--no-warnings', '-e', code).trim(), 'function function');
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

  const project = `
    import { commandHandler, NonRetryableError, type HandlerContext } from 'domaind';
    import { connect, type Client } from 'domaind/client';
    import { testDomain } from 'domaind/testing';
    export const Orders = commandHandler({
      category: 'order',
      handles: { PlaceOrder: (command, ctx) => { if (ctx.attempt > 1) throw new NonRetryableError(command.name); } },
    });
    // @ts-expect-error: a category is needed
    export const Wrong = commandHandler({ handles: {} });
    export const attemptOf = (ctx: HandlerContext): number => ctx.attempt;
    export const client: () => Promise<Client> = () => connect();
    export async function tried(): Promise<number> {
      const domain = await testDomain({ handlers: { Orders } });
      domain.process('PlaceOrder', { order_id: 'o-1' }, { category: 'order' });
      await domain.settle();
      return domain.deadLetters.length;
    }`;

  for (const [resolution, compilerOptions] of [
    ['NodeNext', { module: 'nodenext', moduleResolution: 'nodenext' }],
    ['a bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ] as const) {
    it(`brings types for what it exports, by the resolution of ${resolution}`, () => {
      const folder = join(app, compilerOptions.moduleResolution);
      mkdirSync(folder);
      writeFileSync(join(folder, 'project.ts'), project);
      const types = { types: ['node'], typeRoots: [join(root, 'node_modules/@types')] };
      const strict = { strict: true, noEmit: true, skipLibCheck: true, target: 'es2023', lib: ['es2023'] };
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ compilerOptions: { ...strict, ...types, ...compilerOptions }, files: ['project.ts'] }),
      );
      succeed(folder, process.execPath, join(root, 'node_modules/typescript/bin/tsc'));
    });
  }
});
