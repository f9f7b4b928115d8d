import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { withFolder } from '../support/config-folder.ts';
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

describe('the faults that domaind check finds', () => {
  const bad = `name = "shop"
[brokers.default]
provider = "inlin"
[handlers]
path = "handlers"
[outbox]
tick_interval = 10
max_tick_interval = 1
`;
  const files = {
    'domain.toml': bad,
    'handlers/first.mjs': 'export const First = 1;\n',
    'handlers/second.mjs':
      "import { eventHandler } from 'domaind';\nexport const Second = eventHandler({ category: 'a-b', handles: {} });\n",
    'handlers/third.mjs': 'export const Third = ;\n',
  };
  const checked = (argv: readonly string[]) =>
    withFolder(files, async (cwd) => ({ ...(await run(['check', ...argv], { cwd })), cwd }));

  it('are those of the file and of all its handlers, each with its line and a caret', async () => {
    const { code, err } = await checked([]);
    assert.equal(code, 78);
    assert.match(
      err,
      /^domain\.toml:3:1 \[brokers\.default\] provider: expected one of .*\(did you mean "inline"\?\)\n {2}3 \| provider = "inlin"\n {4}\| \^$/m,
    );
    assert.match(
      err,
      /^domain\.toml:8:1 \[outbox\] max_tick_interval: .*\[outbox\] tick_interval.*\n {2}8 \| max_tick_interval = 1\n/m,
    );
    assert.match(err, /handlers\/first\.mjs exports First: none is made by/);
    assert.match(
      err,
      /handlers\/second\.mjs:2:\d+ Second: the category "a-b" must be .*\n {2}2 \| export const Second/,
    );
    assert.match(err, /handlers\/third\.mjs:1:\d+ /);
    assert.match(err, /^\d+ faults$/m);
  });

  it('are for machines with file, line and column', async () => {
    const { code, json } = await checked(['--format', 'json']);
    assert.equal(code, 78);
    const { faults } = json<{ faults: Record<string, unknown>[] }>();
    const [first] = faults;
    assert.deepEqual(
      [first?.['file'], first?.['line'], first?.['column'], first?.['code']],
      ['domain.toml', 3, 1, 'not_allowed'],
    );
    assert.ok(faults.some(({ file }) => file === 'handlers/third.mjs'));
  });

  it('are results of SARIF 2.1.0', async () => {
    const { json } = await checked(['--format', 'sarif']);
    const { version, runs } = json<{
      version: string;
      runs: {
        tool: { driver: { name: string; rules: { id: string }[] } };
        results: {
          ruleId: string;
          level: string;
          message: { text: string };
          locations: { physicalLocation: { artifactLocation: { uri: string }; region: { startLine: number } } }[];
        }[];
      }[];
    }>();
    assert.equal(version, '2.1.0');
    const [only] = runs;
    assert.equal(only?.tool.driver.name, 'domaind');
    const first = only?.results[0];
    assert.equal(first?.locations[0]?.physicalLocation.artifactLocation.uri, 'domain.toml');
    assert.equal(first?.locations[0]?.physicalLocation.region.startLine, 3);
    const rules = new Set(only?.tool.driver.rules.map(({ id }) => id));
    for (const { ruleId, level } of only?.results ?? []) assert.ok(rules.has(ruleId) && level === 'error');
  });

  it('are annotations of a workflow, each on one line', async () => {
    const { out } = await checked(['--format', 'github']);
    for (const line of out.split('\n')) assert.match(line, /^::error file=[^:,]+(,line=\d+,col=\d+)?,title=\w+::./);
    assert.match(out, /^::error file=domain\.toml,line=3,col=1,title=not_allowed::\[brokers\.default\] provider: /m);
  });

  it('never show a secret that stands on their line', async () => {
    const secret = bad.replace('provider = "inlin"', 'provider = "redis"\nURI = "redsi://:hunter2@h"');
    const { err } = await withFolder({ 'domain.toml': secret }, (cwd) => run(['check'], { cwd }));
    assert.match(err, /domain\.toml:4:1 \[brokers\.default\] URI/);
    assert.doesNotMatch(err, /hunter2/);
  });
});
