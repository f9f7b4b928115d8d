import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { originalBody } from '../../src/broker/dead-letters.ts';
import type { TlsConfig } from '../../src/config/config.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';
import { withFolder } from '../support/config-folder.ts';
import type { Daemon } from '../support/daemon.ts';
import { startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';
import { until } from '../support/until.ts';

const files = {
  'domain.toml': `name = "shop"
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[outbox]
tick_interval = 0.05
max_message_bytes = 65536
[server.health]
enabled = false
[logging]
level = "debug"
format = "json"
`,
  'handlers/order.mjs': `import { eventHandler, subscriber } from 'domaind';
const note = (ctx, id, what) => ctx.sql\`insert into seen (id, what) values (\${id}, \${ctx.sql.json(what)})\`;
export const Shipping = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced: (event, ctx) => {
      const { data, id, time } = event;
      const copied = { ...data };
      return note(ctx, id, { note: data.note ?? null, time, own: Object.keys(data), polluted: copied.polluted ?? {}.polluted ?? null });
    },
  },
});
export const Partner = subscriber({ stream: 'partner', handle: (payload, ctx) => note(ctx, JSON.stringify(payload), {}) });
`,
};

interface Seen {
  readonly note: unknown;
  readonly time: string | null;
  readonly own: readonly string[];
  readonly polluted: unknown;
}

/** An entry of another service, and what becomes of it. */
interface BadEntry {
  readonly is: string;
  readonly fields: readonly (string | Buffer)[];
  /** The reason and the sentence of its dead letter. */
  readonly says: readonly [reason: string, sentence: string];
}

/** The body of an OrderPlaced with these headers beside its own; undefined takes one out. */
const body = (headers: object, dataText = '{}'): string => {
  const own = { id: 'e-1', type: 'Shop.OrderPlaced.v1', stream: 'shop::order-1' };
  return `{"data": ${dataText}, "metadata": ${JSON.stringify({ headers: { ...own, ...headers } })}}`;
};
const deep = (levels: number) => `{"note": "deep", "a": ${'['.repeat(levels)}${']'.repeat(levels)}}`;
const notJson = (at: number) => ['invalid_json', `the body is not JSON (at character ${at})`] as const;
const envelope = (sentence: string) => ['invalid_envelope', sentence] as const;
const missing = (key: string) => envelope(`metadata.headers.${key} must be a string that is not empty`);
const notUtf8 = ['not_utf8', 'the body is not UTF-8'] as const;

const badEntries: readonly BadEntry[] = [
  {
    is: 'without the field data',
    fields: ['order_id', '42'],
    says: ['no_data_field', 'the entry has no field named data'],
  },
  { is: 'of zero length', fields: ['data', ''], says: notJson(0) },
  { is: 'that is not JSON', fields: ['data', 'order 42'], says: notJson(0) },
  { is: 'that ends early', fields: ['data', '{"data": {"a": 1'], says: notJson(16) },
  { is: 'null', fields: ['data', 'null'], says: envelope('the body must be an object') },
  { is: 'a list', fields: ['data', '[]'], says: envelope('the body must be an object') },
  { is: 'a text', fields: ['data', '"x"'], says: envelope('the body must be an object') },
  { is: 'a number', fields: ['data', '5'], says: envelope('the body must be an object') },
  { is: 'that is not UTF-8', fields: ['data', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])], says: notUtf8 },
  {
    is: 'with half a surrogate pair as bytes',
    fields: ['data', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])],
    says: notUtf8,
  },
  { is: 'with U+0000 in it', fields: ['data', '{"data": {"a": "\0"}}'], says: notJson(16) },
  { is: 'with a byte-order mark', fields: ['data', `\ufeff${body({})}`], says: notJson(0) },
  { is: 'without metadata', fields: ['data', '{"data": {}}'], says: envelope('metadata must be an object') },
  {
    is: 'without headers',
    fields: ['data', '{"data": {}, "metadata": {}}'],
    says: envelope('metadata.headers must be an object'),
  },
  { is: 'without an id', fields: ['data', body({ id: undefined })], says: missing('id') },
  { is: 'with a number for its id', fields: ['data', body({ id: 5 })], says: missing('id') },
  { is: 'without a type', fields: ['data', body({ type: undefined })], says: missing('type') },
  { is: 'without a stream', fields: ['data', body({ stream: undefined })], says: missing('stream') },
  {
    is: 'of a type that is none',
    fields: ['data', body({ type: 'OrderPlaced' })],
    says: envelope('metadata.headers.type must be <Domain>.<Class>.v<n>'),
  },
  { is: 'with a list for its payload', fields: ['data', body({}, '[]')], says: envelope('data must be an object') },
];

/** An entry that is odd, and is handled all the same. */
interface OddEntry {
  readonly is: string;
  readonly fields: (id: string) => readonly string[];
  readonly seen: Partial<Seen>;
}
const timed = (time: string): OddEntry => ({
  is: `of the time ${time}`,
  fields: (id) => ['data', body({ id, time })],
  seen: { time },
});
const oddEntries: readonly OddEntry[] = [
  {
    is: 'with more fields',
    fields: (id) => ['a', 'x', 'data', body({ id }, '{"note": 1}'), 'z', ''],
    seen: { note: 1 },
  },
  {
    is: 'whose payload has the key __proto__',
    fields: (id) => [
      'data',
      body({ id }, '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}'),
    ],
    seen: { own: ['__proto__', 'constructor'], polluted: null },
  },
  {
    is: 'with one key twice',
    fields: (id) => ['data', body({ id }, '{"note": 1, "note": 2}')],
    seen: { note: 2 },
  },
  { is: 'nested 100,000 deep', fields: (id) => ['data', body({ id }, deep(100_000))], seen: { note: 'deep' } },
  {
    is: 'of 10 MB',
    fields: (id) => ['data', body({ id }, `{"note": "large", "a": "${'x'.repeat(10_000_000)}"}`)],
    seen: { note: 'large' },
  },
  timed('yesterday'),
  timed('+275761-01-01T00:00:00Z'),
  timed('2026-11-23T14:00:00+14:00'),
  timed('2026-12-31T23:59:60Z'),
];

/** Names that every object answers to are names like any other: nobody handles them. */
const unheard = ['OrderLost', '__proto__', 'toString', 'constructor', 'hasOwnProperty'];

const noStream =
  'its category cannot be the name of a stream: 1 to 255 characters, no space, brace or control character';

const tlsFile = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const trusting = (certificate: string): TlsConfig => ({
  caFile: tlsFile(certificate),
  certFile: null,
  keyFile: null,
  insecureSkipVerify: false,
});

describe('a certificate', () => {
  const bad = [
    ['that has expired', 'expired-cert.pem', '127.0.0.1', /certificate has expired/],
    ['of another server', 'server-cert.pem', '127.0.0.2', /does not match|127\.0\.0\.2/],
  ] as const;
  for (const [is, certificate, host, sentence] of bad) {
    it(`${is} is a misconfiguration that says so`, async () => {
      const options = { cert: readFileSync(tlsFile(certificate)), key: readFileSync(tlsFile('server-key.pem')) };
      const server = createTlsServer(options, (socket) => socket.on('error', () => undefined));
      server.on('tlsClientError', () => undefined);
      await new Promise<void>((resolve) => server.listen(0, host, resolve));
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : assert.fail();
      const { broker } = redisBrokerAt(`rediss://${host}:${port}`, { tls: trusting(certificate) });
      try {
        await assert.rejects(
          broker.ping(),
          (error) => error instanceof MisconfiguredError && error.code === 'redis_tls' && sentence.test(error.message),
        );
      } finally {
        await broker.close();
        server.close();
      }
    });
  }
});

/** Each module is refused for this. The package is looked for beside this project: these import nothing. */
const badExports: readonly (readonly [is: string, text: string, says: string])[] = [
  ['a class', 'export default class Placed { constructor(a) { a.b; } }', 'order.mjs exports default: none is made by'],
  ['a function', 'export const Placed = () => 1;', 'order.mjs exports Placed: none is made by'],
  [
    'an object with a function that is none',
    'export default { handle: 42 };',
    'order.mjs exports handle: none is made by',
  ],
  [
    'an object whose members throw',
    'export const Placed = new Proxy({}, { get() { throw new Error("a"); }, has() { throw new Error("b"); } });',
    'order.mjs exports Placed: none is made by',
  ],
  [
    'an object with a getter that throws',
    'export default { get Placed() { throw new Error("a"); } };',
    'order.mjs:1:39 throws while it is imported: Error: a',
  ],
  ['a promise', 'export const Placed = Promise.resolve(1);', 'order.mjs exports Placed: none is made by'],
];

describe('a module', () => {
  for (const [is, text, says] of badExports) {
    it(`that exports ${is} is refused with its sentence`, async () => {
      const toml = '[brokers.default]\nprovider = "inline"\n[handlers]\npath = "handlers"\n';
      await withFolder({ 'domain.toml': toml, 'handlers/order.mjs': text }, async (cwd) => {
        const { code, out, err } = await run(['check'], { cwd });
        assert.equal(code, 78, out + err);
        assert.ok(`${out}\n${err}`.replace(/\s+/g, ' ').includes(says), out + err);
      });
    });
  }
});

describe('bad input on real servers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-bad-input-'));
  let postgresql: PostgresqlServer;
  let redisServer: RedisServer;
  let redis: Redis;
  let sql: postgres.Sql;
  let daemon: Daemon;

  before(async () => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    [postgresql, redisServer] = await Promise.all([startPostgresql(), startRedis()]);
    const environment = { DATABASE_URL: await postgresql.createDatabase(), REDIS_URL: redisServer.url };
    const setup = await run(['db', 'setup'], { cwd: folder, environment });
    assert.equal(setup.code, 0, setup.err);
    redis = new Redis(redisServer.url);
    sql = postgres(environment.DATABASE_URL, { max: 1, onnotice: () => undefined });
    await sql`create table seen (n bigint generated always as identity, id text not null, what jsonb not null)`;
    daemon = startDaemon(['server', '--config', join(folder, 'domain.toml')], environment);
    await daemon.seen('daemon.ready');
  });
  after(async () => {
    daemon?.signal('SIGKILL');
    redis?.disconnect();
    await sql?.end();
    await Promise.all([redisServer?.stop(), postgresql?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const add = async (stream: string, fields: readonly (string | Buffer)[], id = '*'): Promise<string> =>
    (await redis.xadd(stream, id, ...fields)) ?? assert.fail();
  const seenOf = (id: string) => sql<{ what: Seen }[]>`select what from seen where id = ${id}`;
  const seen = (id: string) => until(`the handling of ${id}`, async () => (await seenOf(id))[0]?.what ?? null);
  const deadLetter = (stream: string, entryId: string) =>
    until(`the dead letter of ${entryId}`, async () => {
      for (const [, [, text = '']] of await redis.xrange(`${stream}:dlq`, '-', '+')) {
        const { _dlq_metadata: end } = JSON.parse(text);
        if (end.original_id === entryId) return { text, end };
      }
      return null;
    });
  const neighbour = async (id: string) => {
    await add('shop::order', ['data', body({ id })]);
    return id;
  };

  describe('an entry', () => {
    for (const { is, fields, says } of badEntries) {
      it(`${is} is a dead letter at once, whole, and the next one is handled`, async () => {
        const entryId = await add('shop::order', fields);
        const next = await neighbour(`after an entry ${is}`);
        const { text, end } = await deadLetter('shop::order', entryId);
        assert.deepEqual([end.failure_reason, end.error_message, end.retry_count], [...says, 1]);
        const given = fields[0] === 'data' ? Buffer.from(fields[1] ?? '') : Buffer.from('{"order_id":"42"}');
        assert.deepEqual(originalBody(text), given);
        await seen(next);
      });
    }

    for (const { is, fields, seen: expected } of oddEntries) {
      it(`${is} is handled as it came, and so is the next one`, async () => {
        await add('shop::order', fields(is));
        const next = await neighbour(`after an entry ${is}`);
        const what = await seen(is);
        assert.deepEqual({ ...what, ...expected }, what);
        await seen(next);
      });
    }

    for (const name of unheard) {
      it(`of the type ${name}, which nobody handles, is passed over without a dead letter`, async () => {
        const id = `unheard ${name}`;
        await add('shop::order', ['data', body({ id, type: `Shop.${name}.v1` })]);
        const next = await neighbour(`after ${id}`);
        await until(`the end of ${id}`, async () => {
          const line = daemon.lines.find((each) => each.msg === 'delivery.handled' && each['message_id'] === id);
          return line === undefined ? null : (assert.equal(line['outcome'], 'skipped') ?? true);
        });
        await seen(next);
        assert.equal((await seenOf(id)).length, 0);
        const letters = await redis.xrange('shop::order:dlq', '-', '+');
        assert.ok(!JSON.stringify(letters).includes(id));
      });
    }

    it('that comes twice has one effect', async () => {
      for (let time = 0; time < 2; time += 1) await add('shop::order', ['data', body({ id: 'twice' })]);
      await until('both deliveries', async () => {
        const ends = daemon.lines.filter((each) => each.msg === 'delivery.handled' && each['message_id'] === 'twice');
        return ends.length < 2
          ? null
          : (assert.deepEqual(ends.map((each) => each['outcome']).sort(), ['duplicate', 'ok']) ?? true);
      });
      assert.equal((await seenOf('twice')).length, 1);
    });

    it('of an external stream is any JSON; what is none is a dead letter at once', async () => {
      const entryId = await add('partner', ['data', '{"order": ']);
      for (const text of ['null', '[]', '5', '"x"']) await add('partner', ['data', text]);
      const { text, end } = await deadLetter('partner', entryId);
      assert.deepEqual([end.failure_reason, end.error_message], notJson(10));
      assert.equal(originalBody(text)?.toString(), '{"order": ');
      for (const each of ['null', '[]', '5', '"x"']) await seen(each);
    });

    it('with an id far in the future is handled, and so are those that come after it', async () => {
      await add('partner', ['data', '"future"'], '99999999999999-0');
      await add('partner', ['data', '"after the future"']);
      for (const each of ['"future"', '"after the future"']) await seen(each);
    });
  });

  describe('a row', () => {
    let rows = 0;
    const insert = async (over: Readonly<Record<string, string | number | null>>): Promise<string> => {
      rows += 1;
      const id = `r-${rows}`;
      const metadata = JSON.stringify({ headers: { id, type: 'Shop.OrderPlaced.v1', stream: `shop::order-${rows}` } });
      const own = {
        message_id: id,
        stream_name: `shop::order-${rows}`,
        category: 'shop::order',
        type: 'Shop.OrderPlaced.v1',
      };
      const row: Readonly<Record<string, string | number | null>> = { ...own, data: '{}', metadata, ...over };
      const columns = Object.keys(row);
      // By way of text: the driver would make its own of JSON and of times.
      const types: Readonly<Record<string, string>> = {
        data: '::text::json',
        metadata: '::text::json',
        created_at: '::text::timestamptz',
      };
      const values = columns.map((column, at) => `$${at + 1}${types[column] ?? ''}`);
      await sql.unsafe(
        `insert into outbox (${columns.join(', ')}) overriding system value values (${values.join(', ')})`,
        Object.values(row),
      );
      return String(row['message_id']);
    };
    const rowOf = async (id: string) => (await sql`select status, last_error from outbox where message_id = ${id}`)[0];
    const becomes = (id: string, status: string) =>
      until(
        `${status}: ${id}`,
        async () => {
          const row = await rowOf(id);
          return row?.['status'] === status ? row : null;
        },
        10_000,
      );

    const refused: readonly (readonly [string, Readonly<Record<string, string | number | null>>, RegExp])[] = [
      ...['message_id', 'stream_name', 'category', 'type', 'data', 'metadata'].map(
        (column) => [`without ${column}`, { [column]: null }, new RegExp(`null value in column "${column}"`)] as const,
      ),
      ['of an unknown status', { status: 'Pending' }, /"outbox_status"/],
      ['whose metadata is another message’s', { message_id: 'other' }, /"outbox_metadata"/],
      ['whose payload is not JSON', { data: '{' }, /invalid input syntax for type json/],
    ];
    for (const [is, over, sentence] of refused) {
      it(`${is} is refused where it is written`, () => assert.rejects(insert(over), sentence));
    }

    const abandoned: readonly (readonly [string, Readonly<Record<string, string | number | null>>, string, string])[] =
      [
        ['of an empty category', { category: '', stream_name: '' }, 'invalid_stream', noStream],
        ['of a category with a line break', { category: 'shop::a\nb' }, 'invalid_stream', noStream],
        ['of a category with braces', { category: 'shop::{a}' }, 'invalid_stream', noStream],
        ['of a category of 256 characters', { category: 'x'.repeat(256) }, 'invalid_stream', noStream],
        [
          'that is too large',
          {
            message_id: 'r-large',
            metadata: '{"headers": {"id": "r-large"}}',
            data: `{"a": "${'x'.repeat(1_000_000)}"}`,
          },
          'too_large',
          '1000039 bytes are more than max_message_bytes = 65536 allows',
        ],
      ];
    for (const [is, over, code, sentence] of abandoned) {
      it(`${is} is abandoned with the reason, and the next one goes`, async () => {
        const id = await insert(over);
        const next = await insert({});
        const row = await becomes(id, 'abandoned');
        assert.deepEqual([row['last_error'].code, row['last_error'].message], [code, sentence]);
        await becomes(next, 'published');
      });
    }

    const published: readonly (readonly [string, Readonly<Record<string, string | number | null>>])[] = [
      ['of a negative priority', { priority: -2_147_483_648 }],
      ['of a partition key that no partition can have', { partition_key: 'a:b{}' }],
      ['of more attempts than may be', { retry_count: 2_147_483_647 }],
      ['of fewer attempts than none', { retry_count: -5 }],
      ['of an id above 2^53', { id: '9007199254740993' }],
      ['written at no time at all', { created_at: 'infinity' }],
      ['written before all time', { created_at: '-infinity' }],
      ['written in the last year that there is', { created_at: '294276-12-31' }],
    ];
    for (const [is, over] of published) {
      it(`${is} is published, and so is the next one`, async () => {
        const id = await insert(over);
        const next = await insert({});
        await becomes(id, 'published');
        await becomes(next, 'published');
      });
    }

    it('that is to be tried again in the year 9999 waits, and holds up no other', async () => {
      const id = await insert({ status: 'failed', next_retry_at: '9999-01-01' });
      await becomes(await insert({}), 'published');
      assert.equal((await rowOf(id))?.['status'], 'failed');
    });

    it('that no consumer can read is published, and is a dead letter with its place', async () => {
      const id = await insert({ message_id: 'r-no-type', metadata: '{"headers": {"id": "r-no-type"}}' });
      await becomes(id, 'published');
      await until('its dead letter', async () => {
        const texts = (await redis.xrange('shop::order:dlq', '-', '+')).map(([, [, text = '']]) => JSON.parse(text));
        const found = texts.find(({ metadata }) => metadata?.headers?.id === id);
        return found && (assert.equal(found._dlq_metadata.error_message, missing('type')[1]) ?? true);
      });
    });

    it('keeps its payload to the letter, one key twice included', async () => {
      const data = '{"note": 1, "note": 2.0, "big": 12345678901234567890}';
      const id = await insert({ data });
      assert.equal((await seen(id)).note, 2);
      const entries = await redis.xrange('shop::order', '-', '+');
      assert.ok(entries.some(([, [, text = '']]) => text.startsWith(`{"data": ${data}, `)));
    });
  });
});
