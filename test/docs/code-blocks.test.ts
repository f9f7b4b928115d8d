import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Block } from './markdown.ts';
import { blocksIn, complaintOf, placeOf, program, root } from './markdown.ts';

/** What blocks take from the application around them, which they do not show. */
const surroundings = `
  declare const id: string;
  declare const customer: string;
  declare const data: { [key: string]: string };
  declare const client: { query(text: string, values: readonly unknown[]): Promise<unknown> };
  declare function sendMail(event: unknown): Promise<void>;
  declare function reserveStock(event: unknown): Promise<void>;
  declare const commandHandler: typeof import('domaind').commandHandler;
  declare const eventHandler: typeof import('domaind').eventHandler;
  declare const projector: typeof import('domaind').projector;
  declare const account: import('domaind').Fold<any>;
`;

/** A block that shows faults has a comment at each of them: `// error: …`. */
const showsErrors = ({ text }: Block): boolean => text.includes('// error');

/** The file that a block names in its first line, or one of its own. */
const nameOf = ({ text, line, language }: Block): string =>
  /^\/\/ ([\w./-]+\.[cm]?[jt]s)\n/.exec(text)?.[1] ?? `line-${line}.${language}`;

const options = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  skipLibCheck: true,
  target: 'es2023',
  lib: ['es2023'],
  module: 'nodenext',
  moduleDetection: 'force',
  types: ['node'],
  typeRoots: [join(root, 'node_modules/@types')],
  customConditions: ['domaind-source'],
  allowImportingTsExtensions: true,
};

describe('TypeScript and JavaScript in the documents', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'domaind-docs-code-'));
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules', 'domaind'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** One folder for each document: its blocks may import each other. What tsc says of them. */
  function compile(name: string, found: readonly Block[], more: string): string {
    const project = join(folder, name);
    mkdirSync(project);
    for (const block of found) {
      const path = join(project, block.file.replaceAll('/', '-'), nameOf(block));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, block.text);
    }
    writeFileSync(join(project, 'surroundings.d.ts'), more);
    const of = (extension: string, compilerOptions: object) =>
      writeFileSync(
        join(project, `tsconfig.${extension}.json`),
        JSON.stringify({ compilerOptions, include: [`**/*.${extension}`, 'surroundings.d.ts'] }),
      );
    of('ts', options);
    // JavaScript is checked as an editor does it: what has no type may be anything.
    of('js', { ...options, allowJs: true, checkJs: true, noImplicitAny: false });
    const languages = new Set(found.map((block) => (/js$/.test(nameOf(block)) ? 'js' : 'ts')));
    return (
      [...languages]
        .map((language) => {
          const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--pretty', 'false', '--project'];
          return complaintOf(process.execPath, [...tsc, join(project, `tsconfig.${language}.json`)], project) ?? '';
        })
        .flatMap((text) => text.split('\n'))
        // Whether the sources compile is told elsewhere.
        .filter((line) => /^docs-|^[A-Z][^/]*-/.test(line))
        .join('\n')
    );
  }

  it('compiles under the types of the package', () => {
    const found = blocksIn('ts', 'js').filter((block) => !showsErrors(block));
    assert.ok(found.length > 10);
    assert.equal(compile('sound', found, surroundings), '');
  });

  it('does not compile at the lines that say so, and only there', () => {
    const found = blocksIn('ts', 'js').filter(showsErrors);
    assert.ok(found.length > 0);
    // What `domaind types` makes of a schema.
    const types = `
      import 'domaind';
      declare module 'domaind' {
        interface MessageTypes { OrderPlaced: { order_id: string; customer: string } }
      }`;
    const prepared = found.map((block) => ({
      ...block,
      text: `import { eventHandler } from 'domaind';\n${block.text}`,
    }));
    const told = [...compile('faulty', prepared, types).matchAll(/line-(\d+)\.ts\((\d+),/g)].map(
      ([, block, line]) => `${block}:${Number(line) - 1}`,
    );
    const stated = found.flatMap(({ line, text }) =>
      text.split('\n').flatMap((each, index) => (each.includes('// error') ? [`${line}:${index + 1}`] : [])),
    );
    assert.deepEqual([...new Set(told)].sort(), stated.sort());
  });
});

describe('Python in the documents', () => {
  const python = program('python3');
  for (const block of blocksIn('python')) {
    it(`parses: ${placeOf(block)}`, { skip: python === null && 'there is no python3' }, () => {
      const code = `import ast, sys\nast.parse(sys.argv[1])`;
      assert.equal(complaintOf(python ?? '', ['-c', code, block.text], root), null);
    });
  }
});

describe('Go in the documents', () => {
  // What it does is tried by examples/with-go.
  const gofmt = program('gofmt');
  for (const block of blocksIn('go')) {
    it(`parses: ${placeOf(block)}`, { skip: gofmt === null && 'there is no Go' }, () => {
      const folder = mkdtempSync(join(tmpdir(), 'domaind-docs-go-'));
      try {
        writeFileSync(join(folder, 'docs.go'), `package docs\nfunc place() error {\n${block.text}}\n`);
        assert.equal(complaintOf(gofmt ?? '', ['-e', 'docs.go'], folder), null);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
