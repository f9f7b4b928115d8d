import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mutants } from '../mutants/mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the planted bugs of npm run test:mutants', () => {
  it('fit the sources as they are: each piece stands there exactly once', () => {
    const unfit = mutants.flatMap(({ name, edits }) =>
      edits
        .filter(({ file, from }) => readFileSync(join(root, file), 'utf8').split(from).length !== 2)
        .map(({ file }) => `${name}: ${file}`),
    );
    assert.deepEqual(unfit, []);
  });

  it('change something, and are caught by a test that is there', () => {
    for (const { edits, check } of mutants) {
      assert.ok(edits.length > 0 && edits.every(({ from, to }) => from !== to));
      assert.ok(existsSync(join(root, check.file)), check.file);
    }
  });

  it('have names of their own', () => {
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  });
});
