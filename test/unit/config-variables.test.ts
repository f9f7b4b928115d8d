// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of domain.toml
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load-config.ts';
import { configOf, inline, sentencesOf, withFolder } from '../support/config-folder.ts';

const custom = async (value: string, environment: Readonly<Record<string, string>> = {}) =>
  (await configOf(`${inline}[custom]\nx = '${value}'\n`, { environment })).custom['x'];

describe('a variable', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ['${A}', { A: 'one' }, 'one'],
    ['a ${A}-${B} b', { A: '1', B: '2' }, 'a 1-2 b'],
    ['${A|two}', {}, 'two'],
    ['${A:-two}', {}, 'two'],
    ['${A|}', {}, ''],
    ['${A|two}', { A: '' }, ''],
    ['${A:-two}', { A: '' }, ''],
    ['${A|a|b:-c}', {}, 'a|b:-c'],
    ['$$', {}, '$'],
    ['$${A}', {}, '${A}'],
    ['a$b $1', {}, 'a$b $1'],
    ['${A}', { A: '${B}', B: 'never' }, '${B}'],
    ['${A}', { A: '$$' }, '$$'],
  ];
  for (const [text, environment, expected] of cases) {
    it(`makes ${JSON.stringify(expected)} of ${text} where ${JSON.stringify(environment)}`, async () => {
      assert.equal(await custom(text, environment), expected);
    });
  }

  it('is replaced everywhere but in keys', async () => {
    const text = `${inline}[custom]\nlist = ["\${A}", ["\${A}"]]\ntable = { "\${A}" = "\${A}" }\n[[custom.items]]\nid = "\${A}"\n`;
    const config = await configOf(text, { environment: { A: 'x' } });
    assert.deepEqual(config.custom, { list: ['x', ['x']], table: { '${A}': 'x' }, items: [{ id: 'x' }] });
  });

  it('becomes what the key wants', async () => {
    const text = `
      [brokers.default]
      provider = "\${PROVIDER|inline}"
      [brokers.a]
      provider = "inline"
      [brokers.b]
      provider = "inline"
      [outbox]
      tick_interval = "\${TICK}"
      external_brokers = "\${BROKERS}"
      messages_per_tick = "\${ROWS|25}"
      hint = "\${HINT}"
      [server.health]
      enabled = "\${HEALTH}"
      port = "\${PORT}"
      [handlers]
      path = "\${HANDLERS}"`;
    const environment = { TICK: ' 0.5 ', BROKERS: 'a, b', HINT: 'FALSE', HEALTH: '1', PORT: '9090', HANDLERS: '/h' };
    const config = await configOf(text, { environment });
    assert.equal(config.outbox?.pollEveryMs, 500);
    assert.deepEqual(config.outbox?.externalBrokers, ['a', 'b']);
    assert.equal(config.outbox?.batchSize, 25);
    assert.equal(config.outbox?.hint, false);
    assert.deepEqual(config.server.health, { enabled: true, host: '127.0.0.1', port: 9090 });
    assert.deepEqual(config.handlers.paths, ['/h']);
  });

  it('stays text in [custom]', async () => {
    assert.equal(await custom('${A}', { A: '12' }), '12');
  });

  it('is read from the file that NAME_FILE names, less the last line break', async () => {
    const files = { 'domain.toml': `${inline}[custom]\nx = "\${SECRET}"\n`, secret: 'a\nb\n' };
    await withFolder(files, async (cwd) => {
      const environment = { SECRET_FILE: join(cwd, 'secret') };
      const { config } = await loadConfig({ path: null, env: null, cwd, environment });
      assert.equal(config.custom['x'], 'a\nb');
    });
  });

  it('is not found in what every object inherits', async () => {
    const [sentence] = await sentencesOf(`name = "\${constructor}"\n${inline}`);
    assert.match(String(sentence), /the variable constructor is not set/);
  });
});
