import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type LoadOptions, loadConfig } from '../../src/config/load-config.ts';
import { reasonOf } from '../../src/config/text-file.ts';
import { ConfigError } from '../../src/runtime/errors.ts';
import { inline, load, withFolder } from '../support/config-folder.ts';

const named = (name: string) => `name = "${name}"\n${inline}`;
const nothing: LoadOptions = { path: null, env: null, cwd: '/', environment: {} };
const nameFrom = async (options: Partial<LoadOptions>) =>
  (await loadConfig({ ...nothing, ...options })).config.domain.name;

const refusal = async (options: Partial<LoadOptions>): Promise<string> => {
  const error = await loadConfig({ ...nothing, ...options }).then(
    () => new Error('it loads'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigError)) throw error;
  return error.message;
};

describe('the configuration file', () => {
  it('is .domain.toml before domain.toml before pyproject.toml', async () => {
    const files = {
      '.domain.toml': named('hidden'),
      'domain.toml': named('plain'),
      'pyproject.toml': '[tool.other]\n',
    };
    await withFolder(files, async (cwd) => assert.equal(await nameFrom({ cwd }), 'hidden'));
    const { '.domain.toml': _, ...less } = files;
    await withFolder(less, async (cwd) => assert.equal(await nameFrom({ cwd }), 'plain'));
  });

  it('is the section [tool.protean] of pyproject.toml, and one without it is passed over', async () => {
    const section =
      '[tool.black]\nline-length = 99\n[tool.protean]\nname = "py"\n[tool.protean.brokers.default]\nprovider = "inline"\n';
    await withFolder({ 'pyproject.toml': section }, async (cwd) => assert.equal(await nameFrom({ cwd }), 'py'));
    const files = { 'domain.toml': named('above'), 'inner/pyproject.toml': '[tool.black]\n' };
    await withFolder(files, async (cwd) => assert.equal(await nameFrom({ cwd: join(cwd, 'inner') }), 'above'));
  });

  it('tells places of pyproject.toml with the whole table', async () => {
    const section = '[tool.protean.brokers.default]\nprovider = "inlin"\n[tool.other]\n__proto__ = 1\n';
    await withFolder({ 'pyproject.toml': section }, async (cwd) =>
      assert.equal(
        await refusal({ cwd }),
        'pyproject.toml:2:1 [tool.protean.brokers.default] provider: expected one of "inline", "redis", "redis_pubsub", got "inlin" (did you mean "inline"?)',
      ),
    );
  });

  it('is looked for in the working directory and two folders above, and no further', async () => {
    const files = { 'domain.toml': named('top'), 'a/b/c/x': '' };
    await withFolder(files, async (folder) => {
      assert.equal(await nameFrom({ cwd: join(folder, 'a/b') }), 'top');
      assert.match(await refusal({ cwd: join(folder, 'a/b/c') }), /no configuration: looked for \.domain\.toml/);
    });
  });

  it('is what --config says before what DOMAIND_CONFIG says', async () => {
    const files = { 'one.toml': named('one'), 'two.toml': named('two') };
    await withFolder(files, async (cwd) => {
      const environment = { DOMAIND_CONFIG: 'two.toml' };
      assert.equal(await nameFrom({ cwd, environment }), 'two');
      assert.equal(await nameFrom({ cwd, environment, path: 'one.toml' }), 'one');
      assert.equal(await nameFrom({ cwd, path: join(cwd, 'one.toml') }), 'one');
    });
  });

  it('is refused with the reason when it is missing, a folder, or a link to itself', async () => {
    await withFolder({ 'pyproject.toml': '' }, async (cwd) => {
      mkdirSync(join(cwd, 'folder.toml'));
      symlinkSync('loop.toml', join(cwd, 'loop.toml'));
      assert.equal(await refusal({ cwd, path: 'none.toml' }), 'none.toml does not exist');
      assert.equal(
        await refusal({ cwd, environment: { DOMAIND_CONFIG: 'none.toml' } }),
        'none.toml does not exist (named by DOMAIND_CONFIG)',
      );
      assert.equal(await refusal({ cwd, path: 'folder.toml' }), 'folder.toml is a directory');
      assert.equal(await refusal({ cwd, path: 'loop.toml' }), 'loop.toml is a symbolic link to itself');
      assert.equal(await refusal({ cwd, path: 'pyproject.toml' }), 'pyproject.toml has no [tool.protean] table');
      assert.equal(await refusal({ cwd, path: '/dev/null' }), '/dev/null is not a regular file');
    });
  });

  it('is refused with the reason when it may not be read', () => {
    assert.equal(reasonOf(Object.assign(new Error(), { code: 'EACCES' })), 'may not be read: permission denied');
  });

  it('may begin with a byte-order mark and have the line ends of Windows', async () => {
    const { config } = await load(Buffer.from(`\ufeff${named('windows').replaceAll('\n', '\r\n')}`));
    assert.equal(config.domain.name, 'windows');
  });

  it('gives the domain the name of its folder when it states none', async () => {
    const { config } = await load(inline);
    assert.deepEqual(config.domain, { name: 'shop', normalized: 'shop', camel: 'Shop' });
  });

  it('makes paths absolute from where it is', async () => {
    const files = {
      'domain.toml': `${inline}[handlers]\npath = ["handlers", "/elsewhere/x.ts"]\n[schemas]\npath = "s"\n`,
      'sub/x': '',
    };
    await withFolder(files, async (folder) => {
      const { config } = await loadConfig({ ...nothing, cwd: join(folder, 'sub') });
      assert.deepEqual(config.handlers.paths, [join(folder, 'handlers'), '/elsewhere/x.ts']);
      assert.equal(config.schemas.path, join(folder, 's'));
      assert.equal(config.file, join(folder, 'domain.toml'));
    });
  });
});
