import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = (file: string): string => readFileSync(join(root, file), 'utf8');

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: { readonly [name: string]: string };
}

const manifest: {
  readonly version: string;
  readonly license: string;
  readonly publishConfig: { readonly [setting: string]: unknown };
  readonly dependencies: { readonly [name: string]: string };
  readonly devDependencies: { readonly [name: string]: string };
} = JSON.parse(text('package.json'));
const lock: { readonly version: string; readonly packages: { readonly [path: string]: LockedPackage } } = JSON.parse(
  text('package-lock.json'),
);

/** Everything in the tree but what is installed, built or git's own. */
const foreign = new Set(['.git', 'node_modules', 'dist', '.dist-new', 'coverage']);
function filesWithin(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !foreign.has(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesWithin(path);
      return entry.isFile() ? [path] : [];
    });
}

/** A folder of somebody's machine, at the start of a path: homes, mounts and workspaces. */
const machinePath = /(?<![\w.$}/*-])\/(?:home|root|Users|work|workspace|mnt)\/[\w.-]+/;

describe('the package', () => {
  it('states the version of its lock file, and its changelog is no older', () => {
    assert.equal(lock.version, manifest.version);
    assert.match(
      /^## \[(.+)\]/m.exec(text('CHANGELOG.md'))?.[1] ?? '',
      new RegExp(`^(Unreleased|${manifest.version})$`),
    );
  });

  it('pins every dependency to one version', () => {
    const stated = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    assert.deepEqual(
      stated.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
      [],
    );
  });

  it('needs six packages at run time', () => {
    assert.deepEqual(Object.keys(manifest.dependencies).sort(), [
      'ajv',
      'ioredis',
      'pino',
      'postgres',
      'prom-client',
      'smol-toml',
    ]);
  });

  it('is published to all, with its provenance', () => {
    assert.deepEqual(manifest.publishConfig, { access: 'public', provenance: true });
  });

  it('says in its papers how to report, how to contribute and under which licence', () => {
    assert.match(text('SECURITY.md'), /report a vulnerability/i);
    assert.match(text('CONTRIBUTING.md'), /npm test/);
    assert.match(text('LICENSE'), /Apache License\s+Version 2\.0/);
    assert.equal(manifest.license, 'Apache-2.0');
  });

  it('needs no install script at run time', () => {
    const scripted = Object.entries(lock.packages).filter(([, { dev, hasInstallScript }]) => hasInstallScript && !dev);
    assert.deepEqual(scripted, []);
  });

  it('locks versions, not download addresses', () => {
    assert.deepEqual(
      Object.values(lock.packages).filter(({ resolved }) => resolved !== undefined),
      [],
    );
  });

  it('locks the packages of every platform, without which npm ci refuses on all of them', () => {
    const optional = Object.values(lock.packages).flatMap(({ optionalDependencies }) =>
      Object.keys(optionalDependencies ?? {}),
    );
    const locked = new Set(Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, '')));
    assert.ok(optional.length > 0);
    assert.deepEqual(
      optional.filter((name) => !locked.has(name)),
      [],
    );
  });
});

describe('the tree', () => {
  it('names no folder of the machine it was written on', () => {
    const found = filesWithin(root).flatMap((path) =>
      readFileSync(path, 'utf8')
        .split('\n')
        .flatMap((line, index) => {
          const [match] = machinePath.exec(line) ?? [];
          return match === undefined ? [] : [`${relative(root, path)}:${index + 1} ${match}`];
        }),
    );
    assert.deepEqual(found, []);
  });

  it('would be caught naming one', () => {
    const planted = ['', 'home', 'someone', 'domaind'].join('/');
    assert.match(`see ${planted} for it`, machinePath);
    assert.match(`"file": "${planted}"`, machinePath);
    assert.doesNotMatch(`https://example.com${planted}`, machinePath);
  });
});
