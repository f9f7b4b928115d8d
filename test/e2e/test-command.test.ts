import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../scripts/test.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'domaind-test-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function planted(name: string, body: string): string {
  const file = join(folder, name);
  writeFileSync(file, `import { it } from 'node:test';\nit('is planted', () => {${body}});\n`);
  return file;
}

const npmTest = (...args: readonly string[]) => spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' });

describe('npm test', () => {
  const passing = planted('passing.test.ts', '');
  const failing = planted('failing.test.ts', "throw new Error('planted');");

  it("ends with node's own summary and exits 0 when all pass", () => {
    const { status, stdout } = npmTest(passing);
    assert.equal(status, 0);
    assert.match(stdout, /ℹ tests 1\n.*ℹ pass 1\nℹ fail 0\n(ℹ .*\n)+$/s);
  });

  it('passes on the exit code of a run with a failure', () => {
    const { status, stdout } = npmTest(passing, failing);
    assert.equal(status, 1);
    assert.match(stdout, /ℹ tests 2\n.*ℹ pass 1\nℹ fail 1\n/s);
  });

  it("passes on node's options in place of its own", () => {
    const { status, stdout } = npmTest(failing, '--test-reporter=tap', '--test-name-pattern=nothing');
    assert.equal(status, 0);
    assert.match(stdout, /^# pass 0\n/m);
  });

  it('says in one line that a named test does not exist', () => {
    const { status, stderr } = npmTest('test/unit/absent.test.ts');
    assert.equal(status, 1);
    assert.equal(stderr, 'No such test file or folder: test/unit/absent.test.ts.\n');
  });
});
