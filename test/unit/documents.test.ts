import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commands } from '../../src/cli/commands.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest: { readonly scripts: { readonly [name: string]: string } } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);

const within = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`);

/** Not decisions, which speak of their day. */
const apart = /^docs\/adr\//;

const pages = [...readdirSync(root), ...within('docs'), ...within('examples')]
  .filter((file) => file.endsWith('.md') && !apart.test(file))
  .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

/** What `pattern` captures on every page, each with its page. */
const found = (pattern: RegExp, part = (text: string) => text) =>
  pages.flatMap(({ file, text }) => [...part(text).matchAll(pattern)].map(([, match = '']) => ({ file, match })));

/** What stands in fenced blocks and between backticks, a line each. */
const codeIn = (text: string): string =>
  [...text.matchAll(/^```.*\n([\s\S]*?)^```$|`([^`\n]+)`/gm)].map(([, block, span]) => block ?? span).join('\n');

describe('the documents', () => {
  it('name commands of domaind that exist', () => {
    const named = found(/^ *(?:npm run |npx )?domaind (?:-- )?([a-z][a-z-]*)/gm, codeIn);
    assert.ok(named.length > 0);
    assert.deepEqual(
      named.filter(({ match }) => match !== 'help' && !commands.has(match)),
      [],
    );
  });

  it('name scripts of package.json that exist', () => {
    const named = found(/npm run ([a-z:]+)/g);
    assert.ok(named.length > 0);
    assert.deepEqual(
      named.filter(({ match }) => manifest.scripts[match] === undefined),
      [],
    );
  });

  it('link to files that are there', () => {
    const links = found(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g);
    assert.ok(links.length > 0);
    assert.deepEqual(
      links.filter(({ file, match }) => !existsSync(join(root, dirname(file), match))),
      [],
    );
  });
});
