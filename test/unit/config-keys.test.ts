import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { resolveSubscription } from '../../src/config/resolve.ts';
import { dereference, domainSchema, type SchemaNode, typesOf } from '../../src/config/schema.ts';
import { type Path, type Table, type TomlValue, tableOf } from '../../src/config/tree.ts';
import { load } from '../support/config-folder.ts';

/** A key of the schema, with the table's name filled in, and whether this version says that it has no effect. */
interface Key {
  readonly path: Path;
  readonly node: SchemaNode;
  readonly withoutEffect: boolean;
}

function keysBelow(node: SchemaNode, path: Path, withoutEffect = false): readonly Key[] {
  const without = withoutEffect || node['x-without-effect'] === true;
  if (node.type !== 'object') return [{ path, node, withoutEffect: without }];
  const named =
    typeof node.additionalProperties === 'object' && path.length > 0 ? { thing: node.additionalProperties } : {};
  return Object.entries({ ...node.properties, ...named }).flatMap(([key, child]) =>
    keysBelow(dereference(child), [...path, key], without),
  );
}

const keys = keysBelow(domainSchema, []);
const shown = (path: Path) => path.join('.');

/** What must stand in the file for a key to mean something. */
const around: readonly (readonly [RegExp, string])[] = [
  [/^databases\.thing/, '[databases.thing]\nprovider = "postgresql"\ndatabase_uri = "postgresql://h/d"\n'],
  [
    /^brokers\.thing\.tls|^brokers\.thing\.insecure/,
    '[brokers.thing]\nprovider = "redis"\nURI = "rediss://h"\ntls_cert_file = "a.pem"\ntls_key_file = "a.pem"\n',
  ],
  [/^brokers\.thing/, '[brokers.thing]\nprovider = "redis"\nURI = "redis://h"\n'],
  [/^event_store/, '[event_store]\nprovider = "message_db"\ndatabase_uri = "postgresql://h/d"\n'],
  [/^caches\.thing/, '[caches.thing]\nprovider = "redis"\nURI = "redis://h"\n'],
  [/^server\.ingress/, '[server.ingress]\nenabled = true\ntoken = "abcdefghijklmnop"\n'],
  [/^outbox\.(broker|external_brokers)/, '[brokers.partners]\nprovider = "inline"\n'],
  [/^server\.(priority_lanes|transient_retry)/, '[server.$1]\nenabled = true\n'],
  [/^outbox\.publish_wait_timeout_ms/, '[outbox]\npublish_wait_replicas = 1\n'],
  [/^server\.profiles\.thing/, '[server.subscriptions.One]\nprofile = "thing"\n[server.profiles.thing]\n'],
];

const files = { 'a.pem': 'x', 'ca.pem': 'x', 'client.pem': 'x', 'client.key': 'x' };

/** A valid value that is neither the default nor what `around` states. */
function another({ path, node }: Key): TomlValue {
  const [example] = node.examples ?? [];
  const key = String(path.at(-1));
  if (node.enum)
    return (
      node.enum.find(
        (each) => each !== node.default && each !== '' && !shownAround(path).includes(`${key} = "${each}"`),
      ) ?? String(node.default)
    );
  const types = typesOf(node);
  if (typeof example === 'boolean') return example;
  if (types.includes('boolean')) return !(shownAround(path).includes(`${key} = true`) || node.default === true);
  if (types.includes('integer') || types.includes('number')) {
    if (typeof example === 'number') return example;
    const value = typeof node.default === 'number' ? node.default : (node.minimum ?? 0);
    const next = types.includes('integer') ? value + 1 : value + 0.05;
    return next <= (node.maximum ?? next) ? next : (node.minimum ?? 0);
  }
  assert.ok(example !== undefined, `${shown(path)} needs an example in the schema`);
  return example as TomlValue;
}

function shownAround(path: Path): string {
  const found = around.find(([pattern]) => pattern.test(shown(path)));
  return found ? (found[0].exec(shown(path))?.[0].replace(found[0], found[1]) ?? '') : '';
}

/** A document as TOML: only what these tests need of it. */
function toToml(table: Table, path: Path = []): string {
  const entries = Object.entries(table);
  const isNested = (value: TomlValue) => typeof value === 'object' && !Array.isArray(value);
  const own = entries
    .filter(([, value]) => !isNested(value))
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  const nested = entries
    .filter(([, value]) => isNested(value))
    .map(([key, value]) => toToml(value as Table, [...path, key]));
  return `${path.length > 0 ? `[${path.join('.')}]\n` : ''}${own.join('')}${nested.join('')}`;
}

/** The base text with one key more: its table is opened anew only where the base does not have it. */
function withKey(base: string, path: Path, value: TomlValue): string {
  const line = `${path.at(-1)} = ${JSON.stringify(value)}\n`;
  if (path.length === 1) return line + base;
  const header = `[${path.slice(0, -1).join('.')}]\n`;
  const lines = base.split('\n').filter((_, index, all) => !isOwnLine(all, index, header, String(path.at(-1))));
  const rest = lines.join('\n');
  return rest.includes(header) ? rest.replace(header, header + line) : rest + header + line;
}

/** Whether line `index` states `key` in the table of `header`. */
function isOwnLine(lines: readonly string[], index: number, header: string, key: string): boolean {
  const above = lines.slice(0, index).findLast((line) => line.startsWith('['));
  return `${above}\n` === header && lines[index]?.startsWith(`${key} = `) === true;
}

const subscriptions = ({ server: { subscriptions: layers } }: Config) =>
  (['event_handler', 'subscriber'] as const).flatMap((kind) =>
    ['One', 'thing'].flatMap((name) =>
      [null, 'event_store'].map((type) => {
        const subscription = type === null || kind === 'subscriber' ? null : { subscription_type: type };
        const { origins: _, ...resolved } = resolveSubscription(layers, { name, kind, profile: null, subscription });
        return resolved;
      }),
    ),
  );

/** What of a configuration can change anything: paths and the list of keys without effect left out. */
const effectOf = ({ config }: { readonly config: Config }) => {
  const { file: _file, withoutEffect: _without, server, ...rest } = config;
  const { subscriptions: _layers, ...others } = server;
  return JSON.stringify({ ...rest, others, resolved: subscriptions(config) }, (_, value) =>
    value instanceof Map
      ? [...value]
      : typeof value === 'string'
        ? value.replace(/.*\/domaind-config-[^/]*\//, '')
        : value,
  );
};

const base = '[brokers.default]\nprovider = "inline"\n';

describe('every key of the schema', () => {
  for (const key of keys) {
    if (key.node['x-alias-of']) continue;
    const name = shown(key.path);
    const value = another(key);
    const text = shownAround(key.path) + base;
    const without =
      key.withoutEffect ||
      (key.node['x-effect-only'] !== undefined && !key.node['x-effect-only'].includes(value as string));

    it(`${name} ${without ? 'is listed as one without effect' : 'changes the configuration'}`, async () => {
      const changed = await load(withKey(text, key.path, value), { files });
      const listed = changed.config.withoutEffect.some(
        (each) =>
          each.includes(String(key.path.at(-1))) ||
          each === `[${key.path.slice(0, -2).join('.')}]` ||
          key.path.some((_, index) => each === `[${key.path.slice(0, index + 1).join('.')}]`),
      );
      if (without)
        assert.ok(
          listed,
          `${name} = ${JSON.stringify(value)} is not listed: ${changed.config.withoutEffect.join(', ')}`,
        );
      else {
        assert.equal(listed, false, `${name} is listed as one without effect`);
        const before = await load(text, { files });
        assert.notEqual(effectOf(changed), effectOf(before), `${name} = ${JSON.stringify(value)} changes nothing`);
      }
    });
  }
});

describe('the schema', () => {
  it('gives every key a sentence, a type, and every number its bounds', () => {
    for (const { path, node } of keys) {
      assert.ok(node.description?.endsWith('.'), `${shown(path)} has no sentence`);
      assert.ok(typesOf(node).length > 0, `${shown(path)} has no type`);
      const isNumber = typesOf(node).some((type) => type === 'integer' || type === 'number');
      if (isNumber && !node['x-alias-of'])
        assert.ok(node.minimum !== undefined && node.maximum !== undefined, `${shown(path)} has no bounds`);
    }
  });

  it('has defaults that it accepts itself', async () => {
    for (const { path, node } of keys) {
      if (node.default === undefined || path.includes('thing')) continue;
      const tree = path.reduceRight<TomlValue>(
        (value, step) => tableOf([[String(step), value]]),
        node.default as TomlValue,
      );
      await load(`${toToml(tree as Table)}${base}`, { environment: {} });
    }
  });
});
