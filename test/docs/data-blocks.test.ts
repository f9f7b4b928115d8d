import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'smol-toml';
import { parseAllDocuments } from 'yaml';
import { run } from '../support/run-command.ts';
import { blocks, blocksIn, placeOf, textOf } from './markdown.ts';
import { untriedLanguages } from './untried.ts';

describe('the blocks of the documents', () => {
  it('are of languages that are tried, or show what is printed', (t) => {
    const tried = ['sh', 'toml', 'yaml', 'json', 'ts', 'js', 'sql', 'python', 'go'];
    const shown = ['', 'text', 'mermaid'];
    for (const { language, reason } of untriedLanguages) t.diagnostic(`not tried: ${language}: ${reason}`);
    const known = [...tried, ...shown, ...untriedLanguages.map(({ language }) => language)];
    assert.deepEqual(
      blocks.filter(({ language }) => !known.includes(language)).map((block) => `${placeOf(block)} ${block.language}`),
      [],
    );
  });
});

describe('JSON in the documents', () => {
  it('parses', () => {
    for (const block of blocksIn('json')) {
      assert.doesNotThrow(() => void JSON.parse(block.text), placeOf(block));
    }
  });
});

describe('YAML in the documents', () => {
  for (const block of blocksIn('yaml')) {
    it(`parses: ${placeOf(block)}`, () => {
      assert.deepEqual(
        parseAllDocuments(block.text).flatMap(({ errors }) => errors.map(String)),
        [],
      );
    });
  }
});

const schema: { readonly properties: { readonly [key: string]: unknown } } = JSON.parse(
  textOf('config/domain.schema.json'),
);

/** What a variable of that name holds. */
function heldBy(name: string): string {
  if (/DATABASE|POSTGRES.*UR[IL]/.test(name)) return 'postgresql://db.example/shop';
  return /REDIS.*UR[IL]/.test(name) ? 'redis://redis.example/0' : 'value';
}

/** What a domain.toml needs beside a part of one that a page shows. */
const rest = [
  { table: 'handlers', text: '[handlers]\npath = "handlers"\n' },
  {
    table: 'databases',
    text: '[databases.default]\nprovider = "postgresql"\ndatabase_uri = "postgresql://db.example/shop"\n',
  },
  { table: 'brokers', text: '[brokers.default]\nprovider = "redis"\nURI = "redis://redis.example/0"\n' },
];

describe('domain.toml in the documents', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'domaind-docs-toml-'));
    mkdirSync(join(folder, 'handlers'));
    mkdirSync(join(folder, 'schemas'));
    writeFileSync(
      join(folder, 'handlers', 'order.mjs'),
      `import { commandHandler } from 'domaind';
      export const Orders = commandHandler({ category: 'order', handles: { PlaceOrder: () => {} } });
      `,
    );
    writeFileSync(join(folder, 'schemas', 'PlaceOrder.json'), '{"type": "object"}');
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const block of blocksIn('toml')) {
    it(`is sound: ${placeOf(block)}`, async () => {
      const stated = parse(block.text);
      // Tables at the end: what the block says before its first table belongs to the top.
      const text = [block.text, ...rest.filter(({ table }) => !(table in stated)).map((part) => part.text)].join('\n');
      writeFileSync(join(folder, 'domain.toml'), text);
      const names = [...block.text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => name);
      const environment = Object.fromEntries(names.map((name) => [name, heldBy(name)]));
      const overlays = Object.keys(stated).filter((key) => !(key in schema.properties));
      for (const asked of [[], ...overlays.map((name) => ['--env', name])]) {
        const { code, out, err } = await run(['check', ...asked], { cwd: folder, environment });
        assert.equal(code, 0, `${asked.join(' ')}\n${out}\n${err}`);
        assert.doesNotMatch(out + err, /did you mean/);
      }
    });
  }
});
