import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../support/run-command.ts';

const toml = `name = "shop"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
[schemas]
path = "schemas"
`;
const orders = `import { eventHandler, upcaster } from 'domaind';
export const Orders = eventHandler({ category: 'order', handles: { OrderPlaced: () => {} } });
export const First = upcaster({ type: 'OrderPlaced', from: 1, to: 2, up: (data) => data });`;

describe('a domain with schemas', () => {
  let cwd = '';
  const file = (name: string, text: string) => writeFileSync(join(cwd, name), text);
  before(() => {
    cwd = mkdtempSync(join(tmpdir(), 'domaind-types-command-'));
    for (const folder of ['handlers', 'schemas', 'bad']) mkdirSync(join(cwd, folder));
    file('domain.toml', toml);
    file('bare.toml', toml.replace('[schemas]\npath = "schemas"', ''));
    file('bad.toml', toml.replace('path = "schemas"', 'path = "bad"'));
    file('handlers/orders.mjs', orders);
    file('schemas/OrderPlaced.v2.json', '{ "type": "object", "properties": { "id": { "type": "string" } } }');
    file('bad/OrderPlaced.v3.json', '{\n  "type": "objekt"\n}');
  });
  after(() => rmSync(cwd, { recursive: true, force: true }));

  it('has its types made, to stdout or into a file', async () => {
    const { code, out } = await run(['types'], { cwd });
    assert.equal(code, 0);
    assert.match(out, /^ {4}OrderPlaced: OrderPlaced;$/m);
    assert.equal((await run(['types', '--out', 'messages.ts'], { cwd })).code, 0);
    assert.equal(readFileSync(join(cwd, 'messages.ts'), 'utf8').trimEnd(), out.trimEnd());
  });

  it('tells machines which messages there are', async () => {
    const ran = await run(['types', '--out', 'messages.ts', '--json'], { cwd });
    assert.deepEqual(ran.json(), {
      messages: [{ name: 'OrderPlaced', versions: [2] }],
      file: join(cwd, 'messages.ts'),
    });
  });

  it('is told where the file of its types is out of date', async () => {
    await run(['types', '--out', 'messages.ts'], { cwd });
    assert.equal((await run(['types', '--out', 'messages.ts', '--check'], { cwd })).code, 0);
    file('messages.ts', '// older\n');
    const { code, err } = await run(['types', '--out', 'messages.ts', '--check'], { cwd });
    assert.equal(code, 1);
    assert.match(err, /messages\.ts is not what the schemas say: run domaind types --out/);
    assert.equal(readFileSync(join(cwd, 'messages.ts'), 'utf8'), '// older\n');
  });

  it('is told what to do where it has no schemas', async () => {
    const { code, err } = await run(['types', '--config', 'bare.toml'], { cwd });
    assert.equal(code, 78);
    assert.match(err, /bare\.toml has no \[schemas\] path/);
  });

  it('is checked with them: a schema that is wrong is a fault with its place', async () => {
    assert.equal((await run(['check'], { cwd })).code, 0);
    for (const command of ['check', 'types', 'server']) {
      const { code, err } = await run([command, '--config', 'bad.toml'], { cwd });
      assert.equal(code, 78, command);
      assert.match(err, /bad\/OrderPlaced\.v3\.json:2:3 must be "object": the payload of a message is one$/m);
    }
  });

  it('is checked with its upcasters: a gap in their chain is a fault with its place', async () => {
    writeFileSync(
      join(cwd, 'handlers/later.mjs'),
      orders.replaceAll('Orders', 'Later').replace('First', 'Second').replace('from: 1, to: 2', 'from: 0, to: 1.5'),
    );
    const { code, err } = await run(['check'], { cwd });
    assert.equal(code, 78);
    assert.match(err, /later\.mjs:3:\d+ Second: from and to must be versions: whole numbers from 1$/m);
    rmSync(join(cwd, 'handlers/later.mjs'));
    file('schemas/OrderPlaced.v3.json', '{ "type": "object" }');
    const gap = await run(['check'], { cwd });
    assert.equal(gap.code, 78);
    assert.match(gap.err, /orders\.mjs:3:\d+ OrderPlaced: nothing leads from version 2 to version 3/);
  });
});
