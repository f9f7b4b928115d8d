import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { installAdvice, missingServers, programFolders } from '../../scripts/servers.mjs';
import { needsServers, readArguments } from '../../scripts/test-files.mjs';

const project = fileURLToPath(new URL('../..', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'domaind-test-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function plant(...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
}

describe('the arguments of npm test', () => {
  plant('test/unit/b.test.ts', 'test/unit/a/a.test.ts', 'test/unit/fixture.ts', 'test/e2e/c.test.ts');
  plant('test/faults/slow.test.ts');

  it('select every test but the faults when nothing is named', () => {
    assert.deepEqual(readArguments([], folder), {
      options: [],
      unknown: [],
      files: ['test/e2e/c.test.ts', 'test/unit/a/a.test.ts', 'test/unit/b.test.ts'],
    });
  });

  it('select the tests of the folders and files that are named, each once', () => {
    const { files } = readArguments(['test/unit', 'test/unit/b.test.ts', 'test/faults'], folder);
    assert.deepEqual(files, ['test/faults/slow.test.ts', 'test/unit/a/a.test.ts', 'test/unit/b.test.ts']);
  });

  it('leave options to node and report names that are nowhere', () => {
    const { options, unknown } = readArguments(['--test-only', 'test/unit', 'test/unit/z.test.ts'], folder);
    assert.deepEqual({ options, unknown }, { options: ['--test-only'], unknown: ['test/unit/z.test.ts'] });
  });

  it('reach every test of this project', () => {
    const { files } = readArguments([], project);
    const rest = readArguments(['test'], project).files.filter((file) => !files.includes(file));
    const byCommandsOfTheirOwn = ['faults', 'failpoints', 'image', 'package'].map((name) => `test/${name}/`);
    assert.deepEqual(
      rest.filter((file) => !byCommandsOfTheirOwn.some((folder) => file.startsWith(folder))),
      [],
    );
  });
});

describe('the servers that tests need', () => {
  plant('bin/redis-server', 'bin/pgbouncer', 'debian/15/bin/initdb');
  const path = [join(folder, 'bin'), join(folder, 'none')].join(delimiter);
  const missing = (debian: string) =>
    missingServers(programFolders(path, { usual: [], debian: join(folder, debian) })).map(
      ({ packageName }) => packageName,
    );

  it('are found on the PATH and where Debian keeps them', () => {
    assert.deepEqual(missing('debian'), []);
  });

  it('are missing where no folder has them', () => {
    assert.deepEqual(missing('elsewhere'), ['postgresql']);
  });

  it('are asked for in one sentence', () => {
    const advice = installAdvice(missingServers([]));
    assert.match(advice, /redis-server, PostgreSQL and PgBouncer .*apt-get install redis-server postgresql pgbouncer/);
    assert.equal(advice.match(/\.$/gm)?.length, 1);
  });

  it('are not needed by unit tests', () => {
    assert.equal(needsServers(['test/unit/a.test.ts']), false);
    assert.equal(needsServers(['test/unit/a.test.ts', 'test/conformance/b.test.ts']), true);
  });
});
