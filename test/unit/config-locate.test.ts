import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { createLocator } from '../../src/config/locate.ts';

const text = `# a comment with [a.table] and key = 1
name = "a \\" # not a comment" # one
"quoted key".'literal key' = 1
[brokers.default]
URI = 'x' \t# [no.table]
  socket_timeout = 5
[server]
health = { enabled = true, port = 80, nested.key = [1, 2] }
note = """
[not.a.table]
key = "inside" \\""" still """
path = '''
URI = 1'''
list = [
  "a", # with a comment ]
  { deep = 1 },
]
[[items]]
id = 1
[[items]]
id = 2
[items.sub]
x = 1
[ "dotted . name" . b ]
y = 1\r
z = 2\r
`;

const locator = createLocator(text);
const at = (...path: (string | number)[]) => {
  const { line, column } = locator.at(path);
  return `${line}:${column}`;
};

describe('the place of a key in the text', () => {
  const places: readonly (readonly [string, (string | number)[]])[] = [
    ['2:1', ['name']],
    ['3:1', ['quoted key']],
    ['3:14', ['quoted key', 'literal key']],
    ['4:2', ['brokers']],
    ['4:10', ['brokers', 'default']],
    ['5:1', ['brokers', 'default', 'URI']],
    ['6:3', ['brokers', 'default', 'socket_timeout']],
    ['8:1', ['server', 'health']],
    ['8:12', ['server', 'health', 'enabled']],
    ['8:28', ['server', 'health', 'port']],
    ['8:39', ['server', 'health', 'nested']],
    ['8:46', ['server', 'health', 'nested', 'key']],
    ['8:53', ['server', 'health', 'nested', 'key', 0]],
    ['8:56', ['server', 'health', 'nested', 'key', 1]],
    ['9:1', ['server', 'note']],
    ['12:1', ['server', 'path']],
    ['14:1', ['server', 'list']],
    ['15:3', ['server', 'list', 0]],
    ['16:5', ['server', 'list', 1, 'deep']],
    ['18:3', ['items']],
    ['19:1', ['items', 0, 'id']],
    ['21:1', ['items', 1, 'id']],
    ['23:1', ['items', 1, 'sub', 'x']],
    ['25:1', ['dotted . name', 'b', 'y']],
    ['26:1', ['dotted . name', 'b', 'z']],
  ];
  for (const [place, path] of places) {
    it(`is ${place} for ${path.join('.')}`, () => assert.equal(at(...path), place));
  }

  it('is that of the nearest table for what is not stated', () => {
    assert.equal(at('brokers', 'default', 'url'), '4:10');
    assert.equal(at('brokers', 'other', 'url'), '4:2');
    assert.equal(at('outbox', 'retry'), '1:1');
  });

  it('is found up to a syntax error, and nothing after it', () => {
    const broken = createLocator('a = 1\nb = = 2\nc = 3\n');
    assert.deepEqual(broken.at(['a']), { line: 1, column: 1 });
    assert.deepEqual(broken.at(['missing']), { line: 1, column: 1 });
  });
});

/** Each key of a document, with the path to it: in tables, in arrays, in arrays of tables. */
function* keysIn(value: unknown, path: readonly (string | number)[] = []): Generator<readonly (string | number)[]> {
  if (Array.isArray(value)) for (const [index, each] of value.entries()) yield* keysIn(each, [...path, index]);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      yield [...path, key];
      yield* keysIn(each, [...path, key]);
    }
  }
}

describe('the places of all keys', () => {
  const key = fc.oneof(fc.stringMatching(/^[a-z_-]{1,4}$/), fc.string({ maxLength: 5 }));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(fc.integer(), fc.boolean(), fc.string(), fc.stringMatching(/^["'#=\\[\]{}\\\n ]{0,8}$/)),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4 }),
    ),
  }));

  it('are where the parser finds them', () => {
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (document) => {
        const text = stringify(document);
        const lines = text.split('\n');
        const places = createLocator(text);
        for (const path of keysIn(parse(text))) {
          const { line, column } = places.at(path);
          const written = lines[line - 1]?.slice(column - 1) ?? '';
          const key = String(path.at(-1));
          const quoted = /^"(?:[^"\\]|\\.)*"/.exec(written)?.[0];
          const found = quoted === undefined ? written.slice(0, key.length) : Object.keys(parse(`${quoted} = 1`))[0];
          assert.equal(found, key, `${JSON.stringify(path)} at ${line}:${column} of\n${text}`);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a key that is stated again', () => {
  it('is told with its first place', () => {
    const twice = createLocator('[a]\nx = 1\n\n[b]\n[a]\nx = 2\n');
    assert.deepEqual(twice.again(5), { path: ['a'], first: { line: 1, column: 2 } });
    assert.deepEqual(twice.again(6), { path: ['a', 'x'], first: { line: 2, column: 1 } });
    assert.equal(twice.again(4), null);
  });
});
