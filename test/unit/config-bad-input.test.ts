import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inline, sentencesOf } from '../support/config-folder.ts';

interface BadInput {
  readonly is: string;
  readonly toml: string | Uint8Array;
  readonly says: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}

const bytes = (...parts: readonly (string | readonly number[])[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
const redis = (uri: string) => `[brokers.default]\nprovider = "redis"\nURI = "${uri}"\n`;
const encode = 'percent-encode the password: `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25';
const brokerHint =
  'state provider = "redis" and URI = "redis://localhost:6379/0", or provider = "inline" to try things out';

const files: readonly BadInput[] = [
  { is: 'empty', toml: '', says: [`domain.toml:1:1 [brokers.default] is missing: ${brokerHint}`] },
  {
    is: 'without a default broker',
    toml: '[brokers.other]\nprovider = "inline"\n',
    says: [`domain.toml:1:2 [brokers.default] is missing: ${brokerHint}`],
  },
  {
    is: 'a broker without a provider',
    toml: '[brokers.default]\n',
    says: [`domain.toml:1:10 [brokers.default] provider: is missing: name the provider: ${brokerHint}`],
  },
  {
    is: 'a syntax error',
    toml: '[brokers.default]\nprovider = inline\n',
    says: ['domain.toml:2:12 syntax error: invalid value\n  2 | provider = inline\n    |            ^'],
  },
  {
    is: 'a string that does not end, with a password in it',
    toml: '[brokers.default]\nURI = "redis://:hunter2@h\n',
    says: [
      'domain.toml:2:26 syntax error: the string does not end on its line\n  2 | URI = "******************\n    |                          ^',
    ],
  },
  {
    is: 'a secret that breaks its string',
    toml: '[server.ingress]\ntoken = "hunter"2"\n',
    says: [
      'domain.toml:2:17 syntax error: each key-value declaration must be followed by an end-of-line\n  2 | token = "******"*"\n    |                 ^',
    ],
  },
  {
    is: 'a key that is stated twice',
    toml: '[outbox]\ntick_interval = 1\n\ntick_interval = 2\n',
    says: ['domain.toml:4:1 [outbox] tick_interval is stated twice, first at line 2\n  4 | tick_interval = 2\n    | ^'],
  },
  {
    is: 'a table that is stated twice',
    toml: '[outbox]\ntick_interval = 1\n[outbox]\nhint = true\n',
    says: ['domain.toml:3:2 outbox is stated twice, first at line 1\n  3 | [outbox]\n    |  ^'],
  },
  {
    is: 'a control character',
    toml: 'name = "a\u0000b"\n',
    says: ['domain.toml:1:10 holds the control character U+0000 at byte 9: remove it'],
  },
  {
    is: 'invalid UTF-8',
    toml: bytes('name = "ä', [0xff, 0xfe], '"\n'),
    says: ['domain.toml is not UTF-8 at byte 10'],
  },
  {
    is: 'UTF-16',
    toml: bytes([0xff, 0xfe], [0x6e, 0x00]),
    says: ['domain.toml is not UTF-8 at byte 0: it seems to be UTF-16, save it as UTF-8'],
  },
  {
    is: 'too large',
    toml: `# ${'x'.repeat(1_048_576)}\n`,
    says: ['domain.toml is larger than 1048576 bytes (1048579)'],
  },
  {
    is: 'too deep',
    toml: `${inline}[custom]\na = ${'['.repeat(100)}${']'.repeat(100)}\n`,
    says: ['domain.toml:4:69 syntax error: document contains excessively nested structures…'],
  },
];

const keys: readonly BadInput[] = [
  {
    is: '__proto__, constructor and prototype',
    toml: `${inline}[custom]\n__proto__ = 1\n[custom.constructor]\nprototype = 2\n[__proto__]\npolluted = true\n`,
    says: [
      'domain.toml:4:1 [custom] __proto__: may not be the name of a key',
      'domain.toml:5:9 [custom.constructor] may not be the name of a key',
      'domain.toml:7:2 [__proto__] may not be the name of a key',
    ],
  },
  {
    is: 'a misspelt key',
    toml: `${inline}socket_timout = 3\n[server.stream_subscription]\nmax_retrys = 2\n`,
    says: [
      'domain.toml:3:1 [brokers.default] socket_timout: unknown key (did you mean "socket_timeout"?)',
      'domain.toml:5:1 [server.stream_subscription] max_retrys: unknown key (did you mean "max_retries"?)',
    ],
  },
  {
    is: 'a key in the wrong table',
    toml: `drain_timeout_seconds = 3\n${inline}[server]\nlease_ttl_seconds = 3\n`,
    says: [
      'domain.toml:1:1 drain_timeout_seconds: unknown key',
      'domain.toml:5:1 [server] lease_ttl_seconds: unknown key (it belongs to [outbox] or [server.event_store_subscription])',
    ],
  },
  {
    is: 'an unknown table',
    toml: `${inline}[servre]\nworkers = 2\n[server.helth]\nport = 1\n`,
    says: [
      'domain.toml:3:2 [servre] unknown table (did you mean "server"?)',
      'domain.toml:5:9 [server.helth] unknown table (did you mean "health"?)',
    ],
  },
  {
    is: 'a name that is none',
    toml: `${inline}[databases."a b"]\nprovider = "memory"\n`,
    says: [
      'domain.toml:3:12 [databases."a b"] "a b" may not be a name here: expected a letter or `_`, then up to 63 letters, digits, `_` or `-`',
    ],
  },
  {
    is: 'one setting in two spellings',
    toml: '[brokers.default]\nprovider = "redis"\nurl = "redis://h"\nURI = "redis://h"\n',
    says: ['domain.toml:4:1 [brokers.default] URI: says the same as url: state one of them'],
  },
];

const values: readonly BadInput[] = [
  {
    is: 'another type',
    toml: `${inline}[server.health]\nport = "80"\nenabled = "yes"\n[server]\nstartup_timeout_seconds = "5m"\n[outbox]\nexternal_brokers = "default"\nretry = 3\n`,
    says: [
      'domain.toml:4:1 [server.health] port: expected a whole number, got the string "80"',
      'domain.toml:5:1 [server.health] enabled: expected true or false, got the string "yes"',
      'domain.toml:7:1 [server] startup_timeout_seconds: expected a number of seconds, got the string "5m"',
      'domain.toml:9:1 [outbox] external_brokers: expected an array of strings, got the string "default"',
      'domain.toml:10:1 [outbox.retry] expected a table, got 3',
    ],
  },
  {
    is: 'nan and inf',
    toml: `${inline}[outbox]\ntick_interval = nan\nlease_ttl_seconds = inf\nmax_tick_interval = -inf\n`,
    says: [
      'domain.toml:4:1 [outbox] tick_interval: nan is not a number to use',
      'domain.toml:5:1 [outbox] lease_ttl_seconds: inf is not a number to use',
      'domain.toml:6:1 [outbox] max_tick_interval: -inf is not a number to use',
    ],
  },
  {
    is: 'out of range',
    toml: `${inline}[outbox]\nmessages_per_tick = 0\ntick_interval = -1\n[server.health]\nport = 1_000_000_000\n`,
    says: [
      'domain.toml:4:1 [outbox] messages_per_tick: expected 1 to 10000 rows, got 0',
      'domain.toml:5:1 [outbox] tick_interval: expected 0.005 to 3600 seconds, got -1',
      'domain.toml:7:1 [server.health] port: expected 0 to 65535, got 1000000000',
    ],
  },
  {
    is: 'larger than any number',
    toml: `[outbox]\nmessages_per_tick = 9007199254740993\n`,
    says: [
      'domain.toml:2:21 syntax error: integer value cannot be represented losslessly\n  2 | messages_per_tick = 9007199254740993\n    |                     ^',
    ],
  },
  {
    is: 'half of something whole',
    toml: `${inline}[outbox]\nmessages_per_tick = 1.5\n`,
    says: ['domain.toml:4:1 [outbox] messages_per_tick: expected a whole number of rows, got 1.5'],
  },
  {
    is: 'a date, possible or not',
    toml: `${inline}[custom]\nsince = 2026-02-30\nlist = ["a", 2026-01-01]\n`,
    says: [
      'domain.toml:4:1 [custom] since: dates are not used here: write it as a string',
      'domain.toml:5:14 [custom] list[1]: dates are not used here: write it as a string',
    ],
  },
  {
    is: 'none of a list',
    toml: `event_processing = "asinc"\n${inline}[outbox]\nordering = "fifo"\n`,
    says: [
      'domain.toml:1:1 event_processing: expected one of "async", "sync", got "asinc" (did you mean "async"?)',
      'domain.toml:5:1 [outbox] ordering: expected one of "stream", "none", got "fifo"',
    ],
  },
  {
    is: 'empty where something is needed',
    toml: `name = ""\n${inline}[handlers]\npath = []\n`,
    says: ['domain.toml:1:1 name: must not be empty', 'domain.toml:5:1 [handlers] path: must not be empty'],
  },
  {
    is: 'one broker twice',
    toml: `${inline}[brokers.a]\nprovider = "inline"\n[outbox]\nexternal_brokers = ["a", "a"]\n`,
    says: ['domain.toml:6:1 [outbox] external_brokers: must not name anything twice, as entries 1 and 2 do'],
  },
  {
    is: 'a domain that no stream can be named by',
    toml: `name = "日本"\n${inline}`,
    says: ['domain.toml:1:1 name: "日本" has no letter or digit of the Latin alphabet, which streams are named by'],
  },
  {
    is: 'a URL for a path',
    toml: `${inline}[handlers]\npath = ["handlers", "https://example.com/x.js"]\n[schemas]\npath = "file:///etc"\n`,
    says: [
      'domain.toml:4:21 [handlers] path[1]: expected a path, got a URL ("https:…")',
      'domain.toml:6:1 [schemas] path: expected a path, got a URL ("file:…")',
    ],
  },
  {
    is: 'a schema that is no identifier',
    toml: `${inline}${['outbox; drop table x', 'a"b', 'ä', 'x'.repeat(64)]
      .map((schema, index) => `[databases.d${index}]\nprovider = "memory"\nschema = '${schema}'\n`)
      .join('')}`,
    says: ['5', '8', '11', '14'].map(
      (line) =>
        `domain.toml:${line}:1 [databases.d${(Number(line) - 5) / 3}] schema: expected a letter or \`_\`, then…`,
    ),
  },
  {
    is: 'a lane that takes a reserved name',
    toml: `${inline}[server.priority_lanes]\nbackfill_suffix = "dlq"\n[uat.server.priority_lanes]\nbackfill_suffix = "a:b"\n`,
    says: [
      'domain.toml:4:1 [server.priority_lanes] backfill_suffix: expected 1 to 64 characters without `:`, `{`, `}` and spaces; not `dlq`, `command` or `__…`, got "dlq"',
    ],
  },
];

const uris: readonly BadInput[] = [
  {
    is: 'of another scheme',
    toml: redis('redsi://h:6379'),
    says: ['expected a redis:// or rediss:// URL, got "redsi://…" (did you mean "redis"?)'],
  },
  {
    is: 'of no scheme',
    toml: redis('localhost:6379'),
    says: ['expected a redis:// or rediss:// URL, got something without "://"'],
  },
  { is: 'empty', toml: redis(''), says: ['expected a redis:// or rediss:// URL, got an empty string'] },
  { is: 'without a host', toml: redis('redis://:pw@/0'), says: ['the host is missing, got "redis://:***@/0"'] },
  {
    is: 'with an impossible port',
    toml: redis('redis://u:pw@h:99999/0'),
    says: ['the port must be 1 to 65535, got "redis://u:***@h:99999/0"'],
  },
  {
    is: 'with a space in it',
    toml: redis('redis://h :6379'),
    says: ['expected a redis:// or rediss:// URL, got one with a space or a control character in it'],
  },
  {
    is: 'with a database that is none',
    toml: redis('redis://h/orders'),
    says: ['the path must be the number of a database, got "redis://h/orders"'],
  },
  ...['user:p@ss/word#1@h', ':p/w@h', ':p#w@h', ':p?w@h', ':p@w@h'].map((rest) => ({
    is: `with a password that is not encoded: ${rest}`,
    toml: redis(`redis://${rest}`),
    says: [`cannot tell the password from the host: ${encode}`],
  })),
  {
    is: 'with a fragment',
    toml: redis('redis://h/0#x'),
    says: [`a "#" ends the URL here: if it is part of the password, ${encode}`],
  },
  {
    is: 'with a stray percent sign',
    toml: redis('redis://:100%@h'),
    says: [`"%" must be followed by two hexadecimal digits: ${encode}`],
  },
].map(({ says, ...rest }) => ({ ...rest, says: says.map((each) => `domain.toml:3:1 [brokers.default] URI: ${each}`) }));

const variables: readonly BadInput[] = [
  {
    is: 'missing',
    toml: redis(`\${REDIS_URL}`),
    says: [
      `domain.toml:3:1 [brokers.default] URI: the variable REDIS_URL is not set: set it, or write a default as \${REDIS_URL|default}`,
    ],
  },
  {
    is: 'empty',
    toml: redis(`\${REDIS_URL|redis://h}`),
    environment: { REDIS_URL: '' },
    says: [
      `domain.toml:3:1 [brokers.default] URI: expected a redis:// or rediss:// URL, got an empty string (from \${REDIS_URL})`,
    ],
  },
  {
    is: 'nested',
    toml: redis(`\${A|\${B}}`),
    says: ['domain.toml:3:1 [brokers.default] URI: the default of A may not hold a variable itself'],
  },
  {
    is: 'no name',
    toml: `name = "\${1A}\${A"\n${inline}`,
    says: [
      'domain.toml:1:1 name: expected the name of a variable in the braces, alone or with "|default" or ":-default"',
    ],
  },
  {
    is: 'a line too long by its end',
    toml: redis(`\${REDIS_URL}`),
    environment: { REDIS_URL: 'redis://h\n' },
    says: [
      `domain.toml:3:1 [brokers.default] URI: may not hold a line break (from \${REDIS_URL})`,
      `domain.toml:3:1 [brokers.default] URI: expected a redis:// or rediss:// URL, got one with a space or a control character in it (from \${REDIS_URL})`,
    ],
  },
  {
    is: 'of another type than the key',
    toml: `${inline}[server.health]\nport = "\${PORT}"\nenabled = "\${ON}"\n`,
    environment: { PORT: 'eighty', ON: 'perhaps' },
    says: [
      `domain.toml:4:1 [server.health] port: expected a whole number, got the string "eighty" (from \${PORT})`,
      `domain.toml:5:1 [server.health] enabled: expected true or false, got the string "perhaps" (from \${ON})`,
    ],
  },
  {
    is: 'stated twice, as itself and as a file',
    toml: `name = "\${NAME}"\n${inline}`,
    environment: { NAME: 'a', NAME_FILE: '/nowhere' },
    says: ['domain.toml:1:1 name: NAME and NAME_FILE are both set: unset one of them'],
  },
  {
    is: 'in a file that is not there',
    toml: `name = "\${NAME}"\n${inline}`,
    environment: { NAME_FILE: '/nowhere' },
    says: ['domain.toml:1:1 name: NAME cannot be had: the file that NAME_FILE names does not exist'],
  },
];

const conflicts: readonly BadInput[] = [
  {
    is: 'a heartbeat that is too slow',
    toml: `${inline}[server.stream_subscription]\nmin_idle_ms = 9000\nheartbeat_interval_ms = 3001\n`,
    says: [
      'domain.toml:5:1 [server.stream_subscription] heartbeat_interval_ms: 3001 (from [server.stream_subscription]) must be at most a third of min_idle_ms, which is 9000 (from [server.stream_subscription])',
    ],
  },
  {
    is: 'a heartbeat that is too slow for one handler',
    toml: `${inline}[server.stream_subscription]\nheartbeat_interval_ms = 3000\n[server.subscriptions.Slow]\nmin_idle_ms = 6000\n`,
    says: [
      'domain.toml:4:1 [server.stream_subscription] heartbeat_interval_ms: 3000 (from [server.stream_subscription]) must be at most a third of min_idle_ms, which is 6000 (from [server.subscriptions.Slow])',
    ],
  },
  {
    is: 'a longest wait below the first',
    toml: `${inline}[outbox.retry]\nmax_backoff_seconds = 5\n[server.broker_subscription]\nretry_delay_seconds = 10\nmax_backoff_seconds = 9\n`,
    says: [
      'domain.toml:4:1 [outbox.retry] max_backoff_seconds: 5 must not be below [outbox.retry] base_delay_seconds, which is 60: the first wait is the shortest',
      'domain.toml:7:1 [server.broker_subscription] max_backoff_seconds: 9 (from [server.broker_subscription]) must not be below retry_delay_seconds, which is 10 (from [server.broker_subscription])',
    ],
  },
  {
    is: 'a batch without room, an idle relay that speeds up',
    toml: `${inline}[outbox]\nmax_batch_bytes = 2048\ntick_interval = 2\nmax_tick_interval = 1\n`,
    says: [
      'domain.toml:4:1 [outbox] max_batch_bytes: 2048 must not be below [outbox] max_message_bytes, which is 1048576: a batch must have room for one message',
      'domain.toml:6:1 [outbox] max_tick_interval: 1 must not be below [outbox] tick_interval, which is 2: an idle relay slows down from the one to the other',
    ],
  },
  {
    is: 'a lease shorter than a batch may take',
    toml: `${redis('redis://h')}[outbox]\nlease_ttl_seconds = 5\n`,
    says: [
      'domain.toml:5:1 [outbox] lease_ttl_seconds: 5 must not be below 1.5 times [brokers.default] socket_timeout, which is 5: a relay that waits for the broker must not outlive its lease',
    ],
  },
  {
    is: 'a wait for replicas as long as the wait for the answer',
    toml: `${redis('redis://h')}socket_timeout = 1\n[outbox]\npublish_wait_replicas = 1\n`,
    says: [
      'domain.toml:4:1 [brokers.default] socket_timeout: 1 must not be below 1.5 times [outbox] publish_wait_timeout_ms, which is 1000: the wait for replicas is a part of the answer',
    ],
  },
  {
    is: 'a partition whose owner renews too seldom',
    toml: `${inline}[server.partitioning]\nlease_ttl_ms = 6000\nheartbeat_interval_seconds = 3\n`,
    says: [
      'domain.toml:5:1 [server.partitioning] heartbeat_interval_seconds: 3 must be at most a third of [server.partitioning] lease_ttl_ms, which is 6000: an owner that misses two beats must still be known to live',
    ],
  },
  {
    is: 'two servers on one port',
    toml: `${inline}[server.ingress]\nenabled = true\nport = 8080\n`,
    says: ['domain.toml:5:1 [server.ingress] port: 8080 is the port of [server.health] too: give each its own'],
  },
  {
    is: 'an ingress that anybody can use',
    toml: `${inline}[server.ingress]\nenabled = true\nhost = "0.0.0.0"\n`,
    says: [
      'domain.toml:3:9 [server.ingress] token: is missing: [server.ingress] host = "0.0.0.0" can be reached from other machines',
    ],
  },
  {
    is: 'an outbox that nobody reads',
    toml: `enable_outbox = true\n${inline}[server]\ndefault_subscription_type = "event_store"\n`,
    says: [
      'domain.toml:1:1 enable_outbox: conflicts with [server] default_subscription_type: the outbox publishes to streams that subscriptions of the type "event_store" never read; set the type to "stream", or remove enable_outbox',
    ],
  },
  {
    is: 'TLS files without TLS, and half of a pair',
    toml: `${redis('redis://h')}tls_ca_file = "ca.pem"\n[brokers.b]\nprovider = "redis"\nURI = "rediss://h"\ntls_cert_file = "ca.pem"\ntls_ca_file = "none.pem"\n`,
    files: { 'ca.pem': 'x' },
    says: [
      'domain.toml:4:1 [brokers.default] tls_ca_file: has no meaning without TLS: write the URI as rediss://',
      'domain.toml:8:1 [brokers.b] tls_cert_file: needs tls_key_file too',
      'domain.toml:9:1 [brokers.b] tls_ca_file: the file "none.pem" does not exist',
    ],
  },
];

const references: readonly BadInput[] = [
  {
    is: 'of a provider',
    toml: '[brokers.default]\nprovider = "redis_stream"\n[databases.default]\nprovider = "sqlite"\n',
    says: [
      'domain.toml:2:1 [brokers.default] provider: expected one of "inline", "redis", "redis_pubsub", got "redis_stream"',
      'domain.toml:4:1 [databases.default] provider: expected one of "memory", "postgresql", got "sqlite"',
    ],
  },
  {
    is: 'of a broker',
    toml: `${inline}[outbox]\nbroker = "defalt"\nexternal_brokers = ["partners"]\n`,
    says: [
      'domain.toml:4:1 [outbox] broker: there is no broker "defalt" (did you mean "default"?): there is default',
      'domain.toml:5:21 [outbox] external_brokers[0]: there is no broker "partners": there is default',
    ],
  },
  {
    is: 'of a profile',
    toml: `${inline}[server]\ndefault_subscription_profile = "fats"\n[server.subscriptions.X]\nprofile = "none"\n[server.profiles.mine]\ninherits = "batsh"\n`,
    says: [
      'domain.toml:4:1 [server] default_subscription_profile: there is no profile "fats" (did you mean "fast"?): there are production, fast, batch, debug, projection, mine',
      'domain.toml:6:1 [server.subscriptions.X] profile: there is no profile "none": there are production, fast, batch, debug, projection, mine',
      'domain.toml:8:1 [server.profiles.mine] inherits: there is no profile "batsh" (did you mean "batch"?): there are production, fast, batch, debug, projection, mine',
    ],
  },
  {
    is: 'of a profile to itself, or under a name that is taken',
    toml: `${inline}[server.profiles.a]\ninherits = "b"\n[server.profiles.b]\ninherits = "a"\n[server.profiles.fast]\n`,
    says: [
      'domain.toml:6:1 [server.profiles.b] inherits: "a" inherits from this profile itself',
      'domain.toml:7:18 [server.profiles.fast] "fast" is a built-in profile: give yours another name, and write inherits = "fast"',
    ],
  },
  {
    is: 'to a connection that the provider needs',
    toml: '[brokers.default]\nprovider = "redis"\n[databases.default]\nprovider = "postgresql"\n[event_store]\nprovider = "message_db"\n',
    says: [
      'domain.toml:1:10 [brokers.default] URI: is missing: the provider "redis" needs it',
      'domain.toml:3:12 [databases.default] database_uri: is missing: the provider "postgresql" needs it',
      'domain.toml:5:2 [event_store] database_uri: is missing: the provider "message_db" needs it',
    ],
  },
];

const kinds = {
  'a file that is': files,
  'keys: ': keys,
  'a value that is': values,
  'a URI': uris,
  'a variable that is': variables,
  'a conflict:': conflicts,
  'a reference': references,
};

for (const [kind, cases] of Object.entries(kinds)) {
  describe(`bad input: ${kind.replace(': ', '')}`, () => {
    for (const { is, toml, says, environment = {}, files: beside = {} } of cases) {
      it(`is refused when ${kind} ${is}`.replace(/ +/g, ' '), async () => {
        const sentences = await sentencesOf(toml, { environment, files: beside });
        const compared = sentences.map((sentence, index) => {
          const expected = says[index] ?? '';
          const beginning = expected.slice(0, -1);
          return expected.endsWith('…') && sentence.startsWith(beginning) ? expected : sentence;
        });
        assert.deepEqual(compared, says);
      });
    }
  });
}

describe('faults', () => {
  it('come all at once and in the order of the file', async () => {
    const toml = 'nmae = "x"\n[outbox]\ntick_interval = "soon"\nbroker = "none"\n[server]\nworkers = 0\n';
    const sentences = await sentencesOf(toml);
    assert.deepEqual(
      sentences.map((sentence) => /^domain\.toml:(\d+):/.exec(sentence)?.[1]),
      ['1', '1', '3', '4', '6'],
      sentences.join('\n'),
    );
  });

  it('leave Object.prototype as it was', async () => {
    await sentencesOf('[__proto__]\npolluted = 1\n[prod.__proto__]\npolluted = 1\n', { env: 'prod' });
    assert.equal('polluted' in {}, false);
  });
});
