// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of domain.toml
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLocator } from '../../src/config/locate.ts';
import { domainSchema, keysOf } from '../../src/config/schema.ts';
import { ConfigError } from '../../src/runtime/errors.ts';
import { load } from '../support/config-folder.ts';

const secret = 's3cr3t-canary';
const file = `name = "shop"
[brokers.default]
provider = "redis"
URI = "redis://user:${secret}@redis:6379/0"
[databases.default]
provider = "postgresql"
database_uri = "postgresql://app:\${PASSWORD}@db/shop"
[server.ingress]
enabled = true
token = "${secret}-token"
[server.subscriptions.OrderHandler]
profile = "fast"
[prod.outbox]
tick_interval = 0.5
[custom]
api_key = "${secret}"
`;

/** Loads, or is refused with faults: nothing else may happen. */
async function loadsOrIsRefused(text: string): Promise<readonly string[]> {
  try {
    await load(text, { env: 'prod', environment: { PASSWORD: secret } });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${(error as Error).stack}\n${text}`);
    for (const { where, message } of error.faults) assert.ok(where !== '' && message !== '', text);
    return error.faults.map(({ message }) => message);
  }
}

const slip = fc.oneof(
  fc.record({ kind: fc.constant('delete' as const), at: fc.nat(file.length), length: fc.integer({ min: 1, max: 6 }) }),
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(file.length),
    text: fc.oneof(
      fc.string(),
      fc.constantFrom('"', "'", '[', ']', '=', '\n', '${', '}', '#', '@', '.', '{', ',', '\\'),
    ),
  }),
);

type Slip = typeof slip extends fc.Arbitrary<infer Each> ? Each : never;

const apply = (text: string, each: Slip): string =>
  each.kind === 'delete'
    ? text.slice(0, each.at) + text.slice(each.at + each.length)
    : text.slice(0, each.at) + each.text + text.slice(each.at);

const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.double(),
  fc.constantFrom('async', 'redis', 'memory', 'redis://h', '${X}', '${X|5}', '', 'stream', 'fast'),
);
const words = [
  ...keysOf(domainSchema),
  'default',
  'provider',
  'URI',
  'health',
  'port',
  'retry',
  'profiles',
  'fast',
  'inherits',
  'profile',
  'stream_subscription',
  'min_idle_ms',
  '__proto__',
  'constructor',
  'toString',
];
const anyKey = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...words) }, { weight: 1, arbitrary: fc.string() });
const line = fc.record({
  table: fc.array(anyKey, { maxLength: 3 }),
  key: anyKey,
  value: fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })),
});

const quoted = (text: string) => JSON.stringify(text).replace(/[\u007f-\u009f]/g, '');
const valueText = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (typeof value === 'number')
    return Number.isFinite(value) ? (Number.isInteger(value) ? String(Math.trunc(value)) : value.toFixed(3)) : 'inf';
  return typeof value === 'string' ? quoted(value) : String(value);
};

describe('any domain.toml', () => {
  it('loads or is refused, whatever slips were made in a good one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(slip, { minLength: 1, maxLength: 4 }), async (slips) => {
        await loadsOrIsRefused(slips.reduce(apply, file));
      }),
      { numRuns: 200 },
    );
  });

  it('tells no secret when there is one slip in it', async () => {
    await fc.assert(
      fc.asyncProperty(slip, async (each) => {
        const messages = await loadsOrIsRefused(apply(file, each));
        for (const message of messages) assert.ok(!message.includes(secret), message);
      }),
      { numRuns: 200 },
    );
  });

  it('loads or is refused, whatever is stated in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
        const text = lines
          .map(({ table, key, value }) => `${[...table, key].map(quoted).join('.')} = ${valueText(value)}\n`)
          .join('');
        await loadsOrIsRefused(text);
      }),
      { numRuns: 200 },
    );
    assert.equal('polluted' in {}, false);
  });
});

describe('the locator', () => {
  it('ends on any text', () => {
    fc.assert(
      fc.property(fc.array(slip, { maxLength: 4 }), fc.string({ unit: 'binary' }), (slips, text) => {
        createLocator(slips.reduce(apply, file));
        createLocator(text);
      }),
      { numRuns: 200 },
    );
  });

  it('takes a time that grows with the text, not with its square', () => {
    createLocator(`a = """${'"" \\" '.repeat(100_000)}"""\nb = '${'x'.repeat(200_000)}'\n`);
    createLocator(`a = "${'\\\\'.repeat(200_000)}`);
    createLocator(`${'[['.repeat(100_000)}`);
    createLocator(`a = ${'['.repeat(1_000)}`);
  });
});
