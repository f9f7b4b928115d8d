import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DomaindError } from '../../src/runtime/errors.ts';
import { kindOfError, toLoggedError } from '../../src/telemetry/log-error.ts';
import { scrub } from '../../src/telemetry/scrub.ts';
import { createCapturedLog } from '../support/captured-log.ts';
import { everyExample, examples } from '../support/telemetry-facts.ts';

const canary = 's3cr3t-canary';

const hung = (error: Error, more: object) => Object.assign(error, more);

function urlError(): Error {
  try {
    new URL(`http://app:${canary}@host:port`);
  } catch (error) {
    return error as Error;
  }
  throw new Error('that was a URL');
}

/** Errors as drivers make them, each with the canary where that driver leaves secrets or payloads. */
const carriers: readonly (readonly [string, Error])[] = [
  [
    'an AUTH that Redis refused (ioredis)',
    hung(new Error('WRONGPASS invalid username-password pair or user is disabled.'), {
      name: 'ReplyError',
      command: { name: 'auth', args: ['default', canary] },
    }),
  ],
  [
    'an XADD that Redis refused (ioredis)',
    hung(new Error('OOM command not allowed'), {
      command: { name: 'xadd', args: ['s', '*', 'data', canary] },
      previousErrors: [canary],
    }),
  ],
  [
    'a unique violation (PostgreSQL)',
    hung(new Error('duplicate key value violates unique constraint "customer_email"'), {
      name: 'PostgresError',
      code: '23505',
      detail: `Key (email)=(${canary}) already exists.`,
      where: `COPY customer, line 1: "${canary}"`,
      query: `insert into customer values ('${canary}')`,
      parameters: [canary],
      args: [canary],
      internal_query: canary,
    }),
  ],
  ['a URL that is none', hung(urlError(), { base: canary })],
  [
    'an HTTP client error with its request',
    hung(new Error('request failed'), {
      config: { headers: { authorization: `Bearer ${canary}` } },
      response: { data: canary },
    }),
  ],
  ['a connection string in the words', new Error(`cannot connect to postgresql://app:${canary}@db:5432/shop`)],
  ['an unescaped password in the words', new Error(`cannot connect to redis://app:p@ss/${canary}#1@cache:6379/0`)],
  ['a password with quotes in the words', new Error(`cannot connect to redis://app:"\\'<${canary}>@cache:6379/0`)],
  ['a password without a user', new Error(`cannot connect to rediss://:${canary}@cache`)],
  ['a DSN in the words', new Error(`dsn: host=db user=app password=${canary} dbname=shop`)],
  ['a token in the words', new Error(`401 for Authorization: Bearer ${canary}.part.two`)],
  ['JSON in the words', new Error(`sent {"user":"app","password":"${canary}","api_key": "${canary}"}`)],
  ['JSON within JSON in the words', new Error(JSON.stringify({ body: JSON.stringify({ token: canary }) }))],
  ['a cause', new Error('failed', { cause: hung(new Error('no'), { command: { args: [canary] } }) })],
  ['a cause of a cause', new Error('a', { cause: new Error('b', { cause: new Error(`redis://u:${canary}@h`) }) })],
];

describe('a secret that an error carries', () => {
  for (const [what, err] of carriers) {
    it(`is in no line: ${what}`, () => {
      for (const format of ['json', 'console'] as const) {
        const { log, text } = createCapturedLog({ level: 'debug', format });
        for (const fact of everyExample) {
          if ('err' in fact) log.emit({ ...fact, err });
        }
        log.handlerLog({}).error('failed', { err, nested: { err } });
        log.handlerLog({}).error('failed', err);
        log.handlerLog({}).error(err.message, { said: err.message });
        assert.ok(text().length > 500);
        assert.ok(
          !text().includes(canary),
          text()
            .split('\n')
            .find((line) => line.includes(canary)),
        );
      }
    });
  }

  it('leaves lines of JSON that can be parsed', () => {
    const { log, lines } = createCapturedLog();
    for (const [, err] of carriers) log.emit({ ...examples['service.failed'], err });
    assert.equal(lines().length, carriers.length);
  });
});

describe('the scrubber', () => {
  const kept = [
    'http://localhost:8080/readyz is up',
    'password authentication failed for user "app"',
    'Unexpected token } in JSON at position 12',
    'bookshelf::order:command has 3 keys: a, b and c',
    'mail to ops@example.org: the relay is on http://a:80/path',
    '{"key":"value","monkey":"bars","keys":["[caches.default] TTL"]}',
  ];
  for (const text of kept) it(`leaves alone: ${text}`, () => assert.equal(scrub(text), text));

  const masked: readonly (readonly [string, string])[] = [
    ['redis://app:x@h:1/0', 'redis://app:***@h:1/0'],
    ['redis://:x@h', 'redis://:***@h'],
    ['PASSWORD = hunter2 next', 'PASSWORD = *** next'],
    ['password: hunter2', 'password: ***'],
    ['{"password":"hunter2","a":1}', '{"password":"***","a":1}'],
    ['{"m":"{\\"db_password\\":\\"hunter2\\"}"}', '{"m":"{\\"db_password\\":\\"***\\"}"}'],
    ['?token=abc&x=1', '?token=***&x=1'],
    ['Authorization: Basic dXNlcjpwYXNz', 'Authorization: Basic ***'],
    ['bearer eyJhbGciOi.J9', 'bearer ***'],
  ];
  for (const [text, expected] of masked) it(`masks: ${text}`, () => assert.equal(scrub(text), expected));

  it('takes a time that grows with the length of the line only', () => {
    const hostile = ['://', 'a://b:', 'password', 'password=', '"', '\\"', 'bearer ', ':/', 'authorization: a ', '@'];
    for (const piece of hostile) {
      const startedAt = performance.now();
      scrub(`password ${piece.repeat(100_000)}`);
      assert.ok(performance.now() - startedAt < 2_000, piece);
    }
  });
});

describe('a logged error', () => {
  it('has its class, code, message, stack and causes, and nothing else', () => {
    const cause = hung(new RangeError('inner'), { errno: -111 });
    const error = hung(new DomaindError('broker_unavailable', 'outer', { cause }), { extra: 1 });
    const { stack, cause: inner, ...rest } = toLoggedError(error);
    assert.deepEqual(rest, { type: 'DomaindError', code: 'broker_unavailable', message: 'outer' });
    assert.match(stack ?? '', /^DomaindError: outer\n {4}at /);
    assert.deepEqual(
      [inner?.type, inner?.message, Object.keys(inner ?? {})],
      ['RangeError', 'inner', ['type', 'message', 'stack']],
    );
  });

  it('is bounded: message, stack and the depth of its causes', () => {
    const endless = new Error('x'.repeat(1_000_000));
    endless.cause = endless;
    const logged = toLoggedError(endless);
    assert.equal(logged.message.length, 4_096);
    assert.ok((logged.stack ?? '').length <= 16_384);
    assert.equal(logged.cause?.cause?.cause?.cause, undefined);
    assert.equal(logged.cause?.cause?.cause?.message.length, 4_096);
  });

  it('says what each of several attempts to connect met', () => {
    const refused = (at: string) => hung(new Error(`connect ECONNREFUSED ${at}`), { code: 'ECONNREFUSED' });
    const many = hung(new AggregateError([refused('::1:6379'), refused('127.0.0.1:6379')]), { code: 'ECONNREFUSED' });
    const { code, message } = toLoggedError(many);
    assert.equal(code, 'ECONNREFUSED');
    assert.equal(message, 'connect ECONNREFUSED ::1:6379; connect ECONNREFUSED 127.0.0.1:6379');
  });

  it('is made of anything that can be thrown', () => {
    const throwing = new Proxy(new Error('x'), {
      get() {
        throw new Error('no');
      },
      getPrototypeOf() {
        throw new Error('no');
      },
    });
    for (const thrown of [null, undefined, 'text', 7, 10n, Symbol('s'), {}, [], () => 1, throwing]) {
      assert.equal(typeof toLoggedError(thrown).message, 'string');
      assert.equal(typeof kindOfError(thrown), 'string');
    }
  });
});
