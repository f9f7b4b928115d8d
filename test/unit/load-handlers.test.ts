import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { faultOfImport } from '../../src/handler/import-faults.ts';
import type { Loaded } from '../../src/handler/load-handlers.ts';
import { loadHandlers } from '../../src/handler/load-handlers.ts';
import type { LoadedHandler } from '../../src/handler/loaded-handler.ts';
import type { TypeScriptFacts } from '../../src/handler/typescript-support.ts';
import { createTypeScriptSupport } from '../../src/handler/typescript-support.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { ConfigError } from '../../src/runtime/errors.ts';

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'domaind-handlers-')));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Where the package is not installed: outside of this project. */
function folderOf(files: { readonly [path: string]: string | Buffer }, manifest = '{ "type": "module" }'): string {
  const folder = mkdtempSync(join(scratch, 'f-'));
  for (const [path, content] of Object.entries({ 'package.json': manifest, ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

interface Given {
  readonly clock?: Clock;
  readonly importTimeoutMs?: number;
  readonly supportsTypeScript?: (file: string) => Promise<boolean>;
}

function load(paths: readonly string[], given: Given = {}): Promise<Loaded> {
  const { clock = systemClock, importTimeoutMs = 10_000, supportsTypeScript } = given;
  const settings = {
    handlers: { paths, importTimeoutMs },
    domain: { name: 'Book Shop', normalized: 'book_shop', camel: 'BookShop' },
    databases: new Map([['default', { provider: 'memory', name: 'default' } as const]]),
    brokers: new Map([['default', { provider: 'inline', name: 'default' } as const]]),
  };
  return loadHandlers(settings, { clock, ...(supportsTypeScript ? { supportsTypeScript } : {}) });
}

/** Each fault as it is printed, with the folder left out. */
async function faults(folder: string, given: Given = {}): Promise<readonly string[]> {
  const error = await load([folder], given).then(
    () => assert.fail('loaded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ConfigError, String(error));
  return error.faults.map(({ where, message }) => `${where} ${message}`.replaceAll(`${folder}/`, ''));
}

const faultsOf = (files: { readonly [path: string]: string | Buffer }, given?: Given) => faults(folderOf(files), given);

async function only(files: { readonly [path: string]: string }, manifest?: string): Promise<LoadedHandler> {
  const { handlers } = await load([folderOf(files, manifest)]);
  assert.equal(handlers.length, 1);
  return handlers[0] ?? assert.fail();
}

const placed = `import { eventHandler } from 'domaind';
export const Placed = eventHandler({ category: 'order', handles: { OrderPlaced: () => 'handled' } });
`;
const handlerNamed = (name: string) => placed.replaceAll('Placed =', `${name} =`);

describe('a loaded handler', () => {
  it('has the names of the domain', async () => {
    const handler = await only({ 'order.js': placed });
    assert.equal(handler.name, 'Placed');
    assert.equal(handler.kind, 'event_handler');
    assert.equal(handler.group, 'book_shop.Placed');
    assert.deepEqual(handler.categories, ['book_shop::order']);
    assert.deepEqual(handler.streams, ['book_shop::order']);
    assert.equal(handler.database, 'default');
    const handle = handler.handles.get('OrderPlaced');
    assert.equal(typeof handle === 'function' && handle(undefined as never, {} as never), 'handled');
  });

  it('is known by its place', async () => {
    const handler = await only({ 'order.js': placed });
    assert.match(handler.place, /\/order\.js:2:23$/);
    assert.equal(handler.exportName, 'Placed');
  });

  it('of commands reads the commands of its category, and answers to the name of its table', async () => {
    const handler = await only({
      'order.js': `import { commandHandler } from 'domaind';
        export const Orders = commandHandler({ category: 'order', handles: { PlaceOrder() {} } });`,
    });
    assert.deepEqual(handler.streams, ['book_shop::order:command']);
    assert.deepEqual(handler.aliases, ['Commands:order']);
  });

  it('of an external stream reads it by its own name', async () => {
    const handler = await only({
      'external.js': `import { subscriber } from 'domaind';
        export const External = subscriber({ stream: 'external-orders', handle() {} });`,
    });
    assert.deepEqual(handler.streams, ['external-orders']);
    assert.deepEqual(handler.categories, []);
    assert.equal(handler.broker, 'default');
  });

  it('keeps the domain that a category names', async () => {
    const handler = await only({ 'stock.js': placed.replace("'order'", "'warehouse::stock'") });
    assert.deepEqual(handler.categories, ['warehouse::stock']);
  });

  it('has the name, group, profile and settings that it states', async () => {
    const options = `name: 'Other', group: 'shop.handlers.Python', profile: 'fast', subscription: { max_retries: 5 },`;
    const handler = await only({ 'order.js': placed.replace('category:', `${options} category:`) });
    assert.equal(handler.name, 'Other');
    assert.equal(handler.group, 'shop.handlers.Python');
    assert.equal(handler.profile, 'fast');
    assert.deepEqual(handler.subscription, { max_retries: 5 });
  });

  it('may come from CommonJS, TypeScript or a file whose folder says nothing of its kind', async () => {
    const manifest = '{ "type": "commonjs" }';
    assert.equal((await only({ 'order.mjs': placed }, manifest)).name, 'Placed');
    assert.equal((await only({ 'order.mts': `${placed}export type Id = string;` }, manifest)).name, 'Placed');
    assert.equal((await only({ 'order.ts': `${placed}export const n: number = 1;` })).name, 'Placed');
    assert.equal((await only({ 'order.js': placed }, '{}')).name, 'Placed');
  });

  it('may be a default export that states its name', async () => {
    const text = placed
      .replace('export const Placed =', 'export default')
      .replace('category:', "name: 'Placed', category:");
    assert.equal((await only({ 'order.js': text })).name, 'Placed');
  });
});

describe('the handlers folder', () => {
  const names = async (folder: string) => (await load([folder])).handlers.map(({ name }) => name);

  it('is read with all that is below it, in the order of the names', async () => {
    const folder = folderOf({
      'b.js': handlerNamed('B'),
      'a/z.js': handlerNamed('Z'),
      'a/deep/y.mjs': handlerNamed('Y'),
      'c.ts': handlerNamed('C'),
    });
    assert.deepEqual(await names(folder), ['Y', 'Z', 'B', 'C']);
  });

  it('passes over tests, declarations, packages, hidden files and names that begin with _', async () => {
    const broken = 'throw new Error("imported")';
    const folder = folderOf({
      'order.js': placed,
      'order.test.js': broken,
      'order.spec.ts': broken,
      'order.d.ts': broken,
      '_shared.js': broken,
      '_draft/order.js': broken,
      '.hidden.js': broken,
      'node_modules/x/index.js': broken,
      'README.md': broken,
      'order.json': broken,
    });
    assert.deepEqual(await names(folder), ['Placed']);
  });

  it('may be a single file, whatever its name', async () => {
    const folder = folderOf({ '_order.test.js': placed });
    assert.deepEqual(await names(join(folder, '_order.test.js')), ['Placed']);
  });

  it('follows links that stay in it, as a mounted ConfigMap has them', async () => {
    const folder = folderOf({ '..data/order.js': placed });
    symlinkSync(join('..data', 'order.js'), join(folder, 'order.js'));
    assert.deepEqual(await names(folder), ['Placed']);
  });

  it('may be none at all: then there are no handlers', async () => {
    assert.deepEqual(await load([]), { handlers: [], upcasters: [], warnings: [] });
  });

  it('warns of a file that others may write to where it is root’s', async () => {
    const folder = folderOf({ 'order.js': placed });
    chmodSync(join(folder, 'order.js'), 0o666);
    const { warnings } = await load([folder]);
    const warning = /order\.js belongs to root and others may write to it: chmod go-w /;
    assert.equal(warning.test(warnings.join()), process.getuid?.() === 0);
  });

  it('warns of a module that listens to the signals of the process', async () => {
    const folder = folderOf({ 'order.js': `${placed}process.on('SIGTERM', globalThis.stopped = () => {});` });
    const { warnings } = await load([folder]);
    for (const listener of process.listeners('SIGTERM')) process.off('SIGTERM', listener);
    assert.match(warnings.join(), /order\.js listens to SIGTERM of the process/);
  });
});

describe('a handlers folder that is wrong', () => {
  it('says where it was looked for', async () => {
    assert.deepEqual(await faults(join(scratch, 'nowhere')), [
      `${join(scratch, 'nowhere')} does not exist: mend [handlers] path in domain.toml`,
    ]);
  });

  it('says what it looked for where it found nothing', async () => {
    const [fault = ''] = await faultsOf({ 'order.py': '' });
    assert.match(fault, /has no handler modules: looked for \.js, \.mjs, \.ts, \.mts/);
  });

  it('refuses links that lead out of it', async () => {
    const outside = folderOf({ 'order.js': placed });
    const folder = folderOf({ 'order.js': placed });
    symlinkSync(outside, join(folder, 'more'));
    const [fault = ''] = await faults(folder);
    assert.match(fault, /^more is a link to .*, outside of the handlers folder: copy the file into it$/);
  });

  it('refuses links in a circle', async () => {
    const folder = folderOf({ 'a/order.js': placed });
    symlinkSync('..', join(folder, 'a', 'up'));
    const [fault = ''] = await faults(folder);
    assert.match(fault, /^a\/up is the same folder as /);
  });

  it('refuses the same file twice', async () => {
    const folder = folderOf({ 'order.js': placed });
    symlinkSync('order.js', join(folder, 'z.js'));
    assert.deepEqual(await faults(folder), ['z.js is the same file as order.js: keep one of the two']);
  });

  it('refuses a file of another kind that domain.toml names', async () => {
    const folder = folderOf({ 'order.cjs': '' });
    await assert.rejects(load([join(folder, 'order.cjs')]), /has the extension \.cjs: a handler module ends in/);
  });
});

describe('a module that cannot be imported', () => {
  const cases: readonly (readonly [string, { readonly [path: string]: string | Buffer }, RegExp])[] = [
    [
      'because a file that it imports is missing',
      { 'order.js': "import './shared.js';" },
      /^order\.js imports shared\.js, which does not exist$/,
    ],
    [
      'because a file that it imports imports another that is missing',
      { 'order.js': "import './_shared.js';", '_shared.js': "import './gone.js';" },
      /^_shared\.js imports gone\.js, which does not exist$/,
    ],
    [
      'because a package is not installed',
      { 'order.js': "import 'left-pad';" },
      /^order\.js imports the package left-pad, which is not installed: run npm install left-pad there$/,
    ],
    [
      'because of its syntax',
      { 'order.js': 'export const a = 1;\nexport const b = {;\n' },
      /^order\.js:2:19 has a syntax error: Unexpected token ';'$/,
    ],
    [
      'because of the syntax of a file that it imports',
      { 'order.js': "import { a } from './_shared.js';", '_shared.js': '\nexport const a = ;' },
      /^_shared\.js:2:18 has a syntax error: Unexpected token ';'$/,
    ],
    [
      'because of the syntax of its TypeScript',
      { 'order.ts': 'export const a: number = 1;\nexport const b: = 2;\n' },
      /^order\.ts:2:17 has a syntax error: /,
    ],
    [
      'because it imports a name that is not there',
      { 'order.js': "import { comandHandler } from 'domaind';" },
      /^order\.js:1 imports what is not there: .* does not provide an export named 'comandHandler'$|^order\.js:1:10 imports/,
    ],
    [
      'because it is no text',
      { 'order.js': Buffer.from([0xff, 0xfe, 0x00, 0x81]) },
      /^order\.js:1.* has a syntax error: /,
    ],
    ['because it is empty', { 'order.js': '' }, /^order\.js is empty: export a handler from it, or name it _order\.js/],
    [
      'because it throws',
      { 'order.js': `${placed}throw new Error('no DATABASE_HOST');` },
      /^order\.js:3:7 throws while it is imported: Error: no DATABASE_HOST$/,
    ],
    [
      'because it throws what is no error',
      { 'order.js': `${placed}throw null;` },
      /^order\.js throws while it is imported: thrown, not an Error: null$/,
    ],
    [
      'because it parses something that is no JSON',
      { 'order.js': "\nJSON.parse('{');" },
      /^order\.js:2:6 throws while it is imported: SyntaxError: /,
    ],
    [
      'because it leaves the process',
      { 'order.js': `${placed}process.exit(3);` },
      /^order\.js:3:9 calls process\.exit\(3\) while it is imported: a handler module only defines handlers$/,
    ],
    [
      'because it imports what Node cannot read',
      { 'order.js': "import './style.css';", 'style.css': '' },
      /^order\.js imports style\.css: Node cannot import \.css files$/,
    ],
  ];
  for (const [why, files, sentence] of cases) {
    it(`${why} says so in one sentence`, async () => {
      const found = await faultsOf(files);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', sentence);
    });
  }

  it('because it never finishes says so when its time is up', async () => {
    const given = { importTimeoutMs: 50 };
    assert.deepEqual(await faultsOf({ 'order.js': 'await new Promise(() => undefined);' }, given), [
      'order.js has not finished after 0.05 s: a top-level await in it never settles',
    ]);
  });

  it('because Node does not read TypeScript says what to install', async () => {
    const given = { supportsTypeScript: async () => false };
    assert.deepEqual(await faultsOf({ 'order.ts': placed }, given), [
      'order.ts needs tsx or a newer Node: install tsx beside it (npm install tsx), or use Node 24',
    ]);
  });

  it('leaves process.exit as it was', async () => {
    const { exit } = process;
    await faultsOf({ 'order.js': 'process.exit(3);' });
    assert.equal(process.exit, exit);
  });
});

describe('a handler in TypeScript', () => {
  const tsx = '/node_modules/tsx/dist/loader.mjs';
  const given = (over: Partial<TypeScriptFacts> = {}) => {
    const imported: string[] = [];
    const importTsx = async (entry: string) => imported.push(entry);
    const facts = { native: false, fromSource: false, findTsx: () => tsx, importTsx, ...over };
    return { imported, supports: createTypeScriptSupport(facts) };
  };

  it('goes by Node where Node strips types, and by what runs the daemon where that runs from its source', async () => {
    for (const over of [{ native: true }, { fromSource: true }]) {
      const { supports, imported } = given(over);
      assert.equal(await supports('order.ts'), true);
      assert.deepEqual(imported, []);
    }
  });

  it('goes by tsx elsewhere, which is brought in once', async () => {
    const { supports, imported } = given();
    assert.deepEqual([await supports('a.ts'), await supports('b.mts')], [true, true]);
    assert.deepEqual(imported, [tsx]);
  });

  it('cannot be where there is neither', async () => {
    const { supports } = given({ findTsx: () => null });
    assert.equal(await supports('order.ts'), false);
  });

  it('is the only one that needs any of this', async () => {
    const { supports, imported } = given();
    assert.equal(await supports('order.js'), true);
    assert.deepEqual(imported, []);
  });
});

describe('a module whose exports are wrong', () => {
  it('says what it exports and what it should', async () => {
    assert.deepEqual(await faultsOf({ 'order.js': 'export const a = 1; export function b() {}' }), [
      'order.js exports a, b: none is made by commandHandler, eventHandler, projector, subscriber or upcaster; ' +
        'if it is no handler module, name it _order.js',
    ]);
    assert.match((await faultsOf({ 'order.js': 'const a = 1;' })).join(), /^order\.js exports nothing; if it is no/);
  });

  it('names the export and the line of each fault', async () => {
    const text = `import { eventHandler, subscriber } from 'domaind';
export const A = eventHandler({ category: 'order', handles: { OrderPlaced: 42 } });
export const B = subscriber({ stream: 'external orders', handle() {}, broker: 'nope' });`;
    assert.deepEqual(await faultsOf({ 'order.js': text }), [
      'order.js:2:18 A: handles.OrderPlaced must be a function, not number',
      'order.js:3:18 B: the stream "external orders" must be 1–255 characters without { } and spaces',
      'order.js:3:18 B: there is no [brokers.nope] in domain.toml; there is default',
    ]);
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    [
      'a database that is not there',
      "database: 'other', category: 'order'",
      /no \[databases\.other\] in domain\.toml; there is default/,
    ],
    [
      'a category with a dash',
      "category: 'purchase-order'",
      /the category "purchase-order" must be a name like 'order'/,
    ],
    ['a category of commands', "category: 'order:command'", /the category "order:command" must be a name/],
    ['a group with a colon', "group: 'a:b', category: 'order'", /the group "a:b" must be/],
    ['a name with a space', "name: 'a b', category: 'order'", /the name "a b" must be/],
  ];
  for (const [what, options, sentence] of bad) {
    it(`refuses ${what}`, async () => {
      const [fault = ''] = await faultsOf({ 'order.js': placed.replace("category: 'order'", options) });
      assert.match(fault, sentence);
    });
  }

  it('refuses a default export without a name', async () => {
    const [fault = ''] = await faultsOf({ 'order.js': placed.replace('const Placed =', 'default') });
    assert.match(fault, /default: a default export needs `name`/);
  });
});

describe('handlers that cannot both be in one domain', () => {
  const commands = (name: string, handles: string, category = 'order') =>
    `export const ${name} = commandHandler({ category: '${category}', handles: ${handles} });`;
  const module = (...lines: readonly string[]) => ["import { commandHandler } from 'domaind';", ...lines].join('\n');

  it('are those of one name: both places are named', async () => {
    assert.deepEqual(await faultsOf({ 'a.js': placed, 'b.js': placed }), [
      'b.js:2:23 Placed: the name Placed is taken by another handler (Placed, a.js:2:23)',
    ]);
  });

  it('are those of one group on one stream', async () => {
    const grouped = (name: string) => handlerNamed(name).replace('category:', "group: 'shop', category:");
    const [fault = ''] = await faultsOf({ 'a.js': grouped('A'), 'b.js': grouped('B') });
    assert.match(fault, /^b\.js:2:\d+ B: the group shop reads book_shop::order for another handler already \(A, a\.js/);
  });

  it('are two for one command', async () => {
    const text = module(commands('A', '{ PlaceOrder() {} }'), commands('B', '{ PlaceOrder() {} }', 'basket'));
    assert.deepEqual(await faultsOf({ 'order.js': text }), [
      'order.js:3:18 B: the command PlaceOrder has a handler already (A, order.js:2:18)',
    ]);
  });

  it('are one for any command and another for one of the same category', async () => {
    const text = module(commands('A', '{ PlaceOrder() {} }'), commands('B', '{ $any() {} }'));
    const [fault = ''] = await faultsOf({ 'order.js': text });
    assert.match(
      fault,
      /B: with \$any, a handler must be the only one of the commands of book_shop::order:command \(A, /,
    );
  });

  it('are not two for different commands of one category', async () => {
    const text = module(commands('A', '{ PlaceOrder() {} }'), commands('B', '{ CancelOrder() {} }'));
    assert.equal((await load([folderOf({ 'order.js': text })])).handlers.length, 2);
  });
});

describe('all faults of a domain’s handlers', () => {
  it('are told at once', async () => {
    const found = await faultsOf({
      'a.js': 'throw new Error("a");',
      'b.js': 'export const b = {;',
      'c.js': '',
      'd.js': placed,
      'e.js': placed,
      'f.js': 'export const f = 1;',
    });
    assert.deepEqual(
      found.map((fault) => fault.slice(0, 4)),
      ['c.js', 'a.js', 'b.js', 'f.js', 'e.js'],
    );
  });
});

/** The error that Node itself, without tsx, has of a module: as it is, where the daemon runs from its package. */
function errorOfNode(file: string): unknown {
  const script = `import(process.argv[1]).catch(({ name, code, message, stack }) =>
    console.log(JSON.stringify({ name, code, message, stack })))`;
  const args = ['--input-type=module', '--eval', script, pathToFileURL(file).href];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const { name, ...members } = JSON.parse(stdout) as { readonly name: string };
  const error = name === 'SyntaxError' ? new SyntaxError() : new Error();
  return Object.assign(error, members, { name });
}

describe('a module that Node cannot import without tsx', () => {
  const sentence = async (files: { readonly [path: string]: string }, manifest?: string) => {
    const folder = folderOf(files, manifest);
    const file = join(folder, Object.keys(files)[0] ?? '');
    const { where, message } = await faultOfImport(errorOfNode(file), file);
    return `${where} ${message}`.replaceAll(`${folder}/`, '');
  };

  it('because an import lacks its extension is told which', async () => {
    assert.equal(
      await sentence({ 'order.js': "import './_shared';", '_shared.js': '' }),
      'order.js imports _shared, which does not exist: write the import with .js at its end',
    );
  });

  it('because it imports JSON without saying so is told how to', async () => {
    assert.equal(
      await sentence({ 'order.js': "import prices from './prices.json';", 'prices.json': '{}' }),
      "order.js imports JSON: add `with { type: 'json' }` to that import",
    );
  });

  it('because it is an ES module in a folder of CommonJS is told the two ways out', async () => {
    const mend = 'name it order.mjs, or add "type": "module" to package.json';
    for (const text of ["import 'node:fs';", 'export const a = 1;']) {
      assert.equal(
        await sentence({ 'order.js': text }, '{ "type": "commonjs" }'),
        `order.js is an ES module in a folder of CommonJS: ${mend}`,
      );
    }
  });

  it('because a CommonJS module requires what is not there is told which', async () => {
    assert.equal(
      await sentence({ 'order.js': "require('./gone');" }, '{ "type": "commonjs" }'),
      'order.js imports ./gone, which does not exist',
    );
  });
});
