import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The blocks of a document that name a file in their first line. */
async function filesIn(document: string): Promise<readonly (readonly [string, string])[]> {
  const text = await readFile(join(root, document), 'utf8');
  return [...text.matchAll(/```js\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, name = '', code = '']) => [name, code]);
}

describe('the handler test of a newcomer', () => {
  it('has less than ten lines', async () => {
    const [, test = ''] = (await filesIn('docs/handlers.md')).find(([name]) => name === 'order.test.js') ?? [];
    const body = test.slice(test.indexOf('it('));
    assert.ok(body.trim().split('\n').length < 10, body);
  });

  it('passes as it stands in the document', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'domaind-newcomer-'));
    try {
      await mkdir(join(folder, 'node_modules'));
      await symlink(root, join(folder, 'node_modules', 'domaind'));
      await writeFile(join(folder, 'package.json'), '{"type": "module"}');
      for (const [name, code] of await filesIn('docs/handlers.md')) await writeFile(join(folder, name), code);
      const tsx = join(root, 'node_modules/tsx/dist/loader.mjs');
      const argv = ['--conditions=domaind-source', `--import=${tsx}`, '--test', 'order.test.js'];
      const options = { cwd: folder, env: { ...process.env, NODE_TEST_CONTEXT: undefined } };
      const { stdout } = await promisify(execFile)(process.execPath, argv, options);
      assert.match(stdout, /pass 1\b/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
