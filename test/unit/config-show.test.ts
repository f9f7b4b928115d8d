// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of domain.toml
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configCommand } from '../../src/cli/config.ts';
import { maskUri } from '../../src/config/uri.ts';
import { ConfigError, UsageError } from '../../src/runtime/errors.ts';
import { inline, withFolder } from '../support/config-folder.ts';

const never = { soft: new AbortController().signal, hard: new AbortController().signal };

/** Runs `domaind config …` in a folder with this domain.toml. */
const config = (toml: string, argv: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  withFolder({ 'domain.toml': toml }, async (cwd) => {
    const out: string[] = [];
    const err: string[] = [];
    const io = {
      out: (text: string) => void out.push(text),
      err: (text: string) => void err.push(text),
      environment,
      cwd,
      width: 200,
      isTty: true,
    };
    const code = await configCommand.run(argv, io, never);
    return { code, out: out.join('\n'), err: err.join('\n') };
  });

const file = `debug = true
[brokers.default]
provider = "redis"
url = "\${REDIS_URL}"
[databases.default]
provider = "postgresql"
database_uri = "postgresql://app:s3cr3t-canary@db:5432/shop?sslmode=require&sslpassword=s3cr3t-canary"
[server]
default_subscription_profile = "fast"
workers = 2
[server.stream_subscription]
max_retries = 7
[server.ingress]
token = "\${TOKEN}"
[server.subscriptions.OrderHandler]
concurrency = 3
[custom]
api_key = "s3cr3t-canary"
region = "\${MY_SECRET_REGION}"
upstream = "https://me:s3cr3t-canary@example.com/x"
[prod.outbox]
tick_interval = 0.5
`;
const environment = {
  REDIS_URL: 'redis://:s3cr3t-canary@redis:6379/0',
  TOKEN: 's3cr3t-canary-0123',
  MY_SECRET_REGION: 's3cr3t-canary',
};

interface Shown {
  readonly env: string | null;
  readonly settings: readonly { readonly key: string; readonly value: unknown; readonly origin?: string }[];
  readonly without_effect: readonly string[];
}

const shown = async (argv: readonly string[] = []) => {
  const { out } = await config(file, ['show', '--json', '--origin', '--env', 'prod', ...argv], environment);
  const { settings, ...rest } = JSON.parse(out) as Shown;
  return { ...rest, settings: new Map(settings.map(({ key, value, origin }) => [key, { value, origin }])) };
};

describe('domaind config show', () => {
  it('says of each setting what it is and where it comes from', async () => {
    const { settings, env, without_effect } = await shown();
    assert.equal(env, 'prod');
    assert.deepEqual(without_effect, ['debug']);
    const expected: readonly (readonly [string, unknown, string])[] = [
      ['name', 'shop', 'default: the name of the folder that the file is in'],
      ['enable_outbox', true, 'default: true when the default subscription type is stream'],
      ['event_processing', 'async', 'default'],
      ['[brokers.default] provider', 'redis', 'domain.toml:3'],
      ['[brokers.default] URI', 'redis://:***@redis:6379/0', 'domain.toml:4 ${REDIS_URL}'],
      [
        '[databases.default] database_uri',
        'postgresql://app:***@db:5432/shop?sslmode=require&sslpassword=***',
        'domain.toml:7',
      ],
      ['[outbox] tick_interval', 0.5, 'domain.toml:22 [prod]'],
      ['[server.ingress] token', '***', 'domain.toml:14 ${TOKEN}'],
      ['[server.subscriptions.OrderHandler] concurrency', 3, 'domain.toml:16'],
      ['[custom] api_key', '***', 'domain.toml:18'],
      ['[custom] region', '***', 'domain.toml:19 ${MY_SECRET_REGION}'],
      ['[custom] upstream', 'https://me:***@example.com/x', 'domain.toml:20'],
      ['[server.subscriptions.*] subscription_type', 'stream', 'profile fast'],
      ['[server.subscriptions.*] messages_per_tick', 10, 'profile fast'],
      ['[server.subscriptions.*] max_retries', 7, 'domain.toml:12'],
      ['[server.subscriptions.*] concurrency', 10, 'default'],
    ];
    for (const [key, value, origin] of expected) assert.deepEqual(settings.get(key), { value, origin }, key);
  });

  it('shows no secret, as a table, as JSON, or in a warning', async () => {
    for (const argv of [
      ['show'],
      ['show', '--origin'],
      ['show', '--json'],
      ['show', '--json', '--origin', '--env', 'prod'],
    ]) {
      const { out, err } = await config(file, argv, environment);
      assert.ok(!`${out}${err}`.includes('s3cr3t-canary'), argv.join(' '));
    }
  });

  it('prints a table for people, and warnings and keys without effect beside it', async () => {
    const { code, out, err } = await config(file, ['show', '--origin', '--env', 'staging'], environment);
    assert.equal(code, 0);
    assert.match(out, /^setting +value +from$/m);
    assert.match(out, /^\[brokers\.default\] provider +"redis" +domain\.toml:3$/m);
    assert.match(err, /^warning: domain\.toml has no overlay for the environment "staging", only \[prod\]/m);
    assert.match(err, /^without effect in this version: debug$/m);
  });

  it('leaves out what has no effect, unless the file states it', async () => {
    const { out } = await config(inline, ['show']);
    assert.ok(!/telemetry/.test(out));
    const { out: stated } = await config(`${inline}[telemetry]\nservice_name = "shop"\n`, ['show']);
    assert.match(stated, /^\[telemetry\] service_name +"shop"$/m);
  });

  it('names the database that is there by default', async () => {
    const { out } = await config(inline, ['show']);
    assert.match(out, /^\[databases\.default\] provider +"memory"$/m);
  });

  it('throws the faults of the file', async () => {
    await assert.rejects(config('x = 1', ['show']), ConfigError);
  });
});

describe('domaind config schema', () => {
  it('prints the JSON Schema that the package ships', async () => {
    const { code, out } = await config('', ['schema']);
    assert.equal(code, 0);
    assert.equal((JSON.parse(out) as { readonly title: string }).title, 'domain.toml');
  });
});

describe('domaind config', () => {
  for (const argv of [
    [],
    ['shwo'],
    ['show', 'more'],
    ['show', '--jsn'],
    ['show', '--env'],
    ['show', '--json', '--json'],
  ]) {
    it(`refuses "${argv.join(' ')}" as a wrong call`, () => assert.rejects(config(inline, argv), UsageError));
  }
});

describe('a URI that may be shown', () => {
  const uris: readonly (readonly [string, string])[] = [
    ['redis://h', 'redis://h'],
    ['rediss://u:p@h:1/2?x=1', 'rediss://u:***@h:1/2?x=1'],
    ['redis://:p@[::1]:6379', 'redis://:***@[::1]:6379'],
    ['redis://maybe-a-password@h', 'redis://***@h'],
    ['redis://user:password-without-an-at', 'redis://…'],
    ['redis://u:p@ss/word#1@h', 'redis://…'],
    ['postgresql://u:p@a:1,b:2/d?password=x&options=y', 'postgresql://u:***@a:1,b:2/d?password=***&options=y'],
    ['u:p@h', '…'],
  ];
  for (const [uri, masked] of uris) it(`is ${masked} for ${uri}`, () => assert.equal(maskUri(uri), masked));
});
