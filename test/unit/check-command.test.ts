import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../support/run-command.ts';

const toml = `name = "shop"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
[server.subscriptions.Post]
profile = "fast"
`;
const handler = (name: string) => `import { eventHandler } from 'domaind';
export const ${name} = eventHandler({ category: 'order', handles: { OrderPlaced: () => {} } });`;

describe('domaind check', () => {
  let cwd = '';
  before(() => {
    cwd = mkdtempSync(join(tmpdir(), 'domaind-check-'));
    mkdirSync(join(cwd, 'handlers'));
    writeFileSync(join(cwd, 'domain.toml'), toml);
    writeFileSync(join(cwd, 'handlers/mail.mjs'), handler('Mail'));
    writeFileSync(join(cwd, 'bad.toml'), toml.replace('path', 'pth'));
    mkdirSync(join(cwd, 'broken'));
    writeFileSync(join(cwd, 'broken/mail.mjs'), 'export const Mail = 1;');
    writeFileSync(join(cwd, 'broken.toml'), toml.replace('"handlers"', '"broken"'));
  });
  after(() => rmSync(cwd, { recursive: true, force: true }));

  it('says that all is sound, and warns of settings that nobody reads', async () => {
    const { code, out, err } = await run(['check'], { cwd });
    assert.equal(code, 0);
    assert.match(out, /domain\.toml: sound, with 1 handler$/m);
    assert.match(err, /^warning: .*Post/m);
  });

  it('exits with 78 and the place of the fault, in the file or in a handler', async () => {
    const inFile = await run(['check', '--config', 'bad.toml'], { cwd });
    assert.equal(inFile.code, 78);
    assert.match(inFile.err, /^bad\.toml:5:1 \[handlers\] pth: unknown key/m);
    const inHandler = await run(['check', '--config', 'broken.toml'], { cwd });
    assert.equal(inHandler.code, 78);
    assert.match(inHandler.err, /mail\.mjs/);
  });

  it('says the same to machines', async () => {
    const { code, json } = await run(['check', '--json', '--config', 'bad.toml'], { cwd });
    assert.equal(code, 78);
    const { faults } = json<{ faults: { code: string; where: string }[] }>();
    assert.ok(faults.some((fault) => fault.code === 'unknown_key' && fault.where === 'bad.toml:5:1'));
  });
});
