import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

/** Where a bad input is tried, with the sentence that it must produce: a file, and the tests or the rows of tables in it. */
type Shown = readonly [file: string, ...tests: readonly string[]];

const config = 'unit/config-bad-input.test.ts';
const handlers = 'unit/load-handlers.test.ts';
const real = 'integration/bad-input.test.ts';
const health = 'integration/http-health.test.ts';
const ingress = 'integration/http-ingress.test.ts';

const domainToml: Readonly<Record<string, readonly Shown[]>> = {
  'a file that is missing, a directory, not readable or empty': [
    ['unit/config-file.test.ts', 'is refused with the reason when it is missing, a folder, or a link to itself'],
    ['unit/config-file.test.ts', 'is refused with the reason when it may not be read'],
    [config, 'empty', 'without a default broker'],
    ['e2e/first-errors.test.ts', 'no domain.toml'],
  ],
  'a syntax error': [[config, 'a syntax error', 'a string that does not end, with a password in it']],
  'a key or a table twice': [[config, 'a key that is stated twice', 'a table that is stated twice']],
  'a byte-order mark, the line ends of Windows': [
    ['unit/config-file.test.ts', 'may begin with a byte-order mark and have the line ends of Windows'],
  ],
  'control characters, invalid UTF-8': [[config, 'a control character', 'invalid UTF-8', 'UTF-16']],
  'a file above 1 MiB, tables too deep': [[config, 'too large', 'too deep']],
  'keys that change prototypes': [
    [config, '__proto__, constructor and prototype', 'leave Object.prototype as it was'],
    ['unit/config-fuzz.test.ts', 'loads or is refused, whatever is stated in it'],
  ],
  'unknown keys and tables': [
    [config, 'a misspelt key', 'a key in the wrong table', 'an unknown table'],
    ['unit/config-compatibility.test.ts', "a domain.toml with all of Protean's keys"],
  ],
  'another type': [[config, 'another type']],
  'nan, inf, numbers out of range': [[config, 'nan and inf', 'out of range', 'larger than any number']],
  dates: [[config, 'a date, possible or not']],
  'times without a unit': [[config, 'another type', 'half of something whole']],
  'addresses that are none': [
    [config, 'of another scheme', 'of no scheme', 'without a host', 'with an impossible port', 'with a space in it'],
    [config, 'with a database that is none', 'with a fragment', 'with a stray percent sign'],
    [
      'integration/redis-broker-refusal.test.ts',
      'is misconfigured by a URI that cannot be read, without a piece of it',
    ],
  ],
  variables: [
    [config, 'missing', 'nested', 'no name', 'stated twice, as itself and as a file'],
    ['unit/config-variables.test.ts', 'is replaced everywhere but in keys'],
  ],
  'a variable with a line break': [[config, 'a line too long by its end']],
  certificates: [
    [real, 'that has expired', 'of another server'],
    ['integration/redis-connection.test.ts', 'speaks TLS to a server whose certificate is trusted, and to no other'],
    ['integration/postgresql-database.test.ts', 'is not made to a server whose certificate nobody has vouched for'],
    [config, 'TLS files without TLS, and half of a pair'],
  ],
  conflicts: [
    [config, 'a heartbeat that is too slow', 'a heartbeat that is too slow for one handler'],
    [config, 'a lease shorter than a batch may take', 'a wait for replicas as long as the wait for the answer'],
    [config, 'a partition whose owner renews too seldom', 'two servers on one port', 'an outbox that nobody reads'],
    [handlers, 'are those of one group on one stream'],
  ],
  'references to what is not there': [
    [config, 'of a provider', 'of a broker', 'of a profile'],
    [handlers, 'a database that is not there'],
  ],
  'reserved names': [
    [config, 'a lane that takes a reserved name', 'a name that is none'],
    [handlers, 'a group with a colon', 'a category of commands', 'a category with a dash'],
    ['unit/message-names.test.ts', 'refuse what would break a key, a log line or a reserved word'],
  ],
  'schemas that are no identifiers': [[config, 'a schema that is no identifier']],
};

const modules: Readonly<Record<string, readonly Shown[]>> = {
  'a path that is missing, an import that is': [
    [handlers, 'says where it was looked for', 'because a file that it imports is missing'],
    [handlers, 'because a package is not installed', 'because a file that it imports imports another that is missing'],
  ],
  'a path that leads out, a URL': [
    [handlers, 'refuses links that lead out of it', 'refuses links in a circle'],
    [config, 'a URL for a path'],
  ],
  'a syntax error': [[handlers, 'because of its syntax', 'because of the syntax of its TypeScript']],
  'another kind of file': [
    [handlers, 'because it is an ES module in a folder of CommonJS is told the two ways out', 'because it is no text'],
    [handlers, 'refuses a file of another kind that domain.toml names', 'because it is empty'],
    [handlers, 'because Node does not read TypeScript says what to install'],
  ],
  'exports that are no handlers': [
    [handlers, 'says what it exports and what it should', 'refuses a default export without a name'],
    [real, 'a class', 'an object with a function that is none', 'an object with a getter that throws'],
  ],
  'a module that throws, never finishes, or leaves': [
    [handlers, 'because it throws', 'because it never finishes says so when its time is up'],
    [handlers, 'because it leaves the process'],
  ],
  'two of one name, one file twice, none at all': [
    [handlers, 'are those of one name: both places are named', 'refuses the same file twice'],
    [handlers, 'says what it looked for where it found nothing'],
  ],
};

const messages: Readonly<Record<string, readonly Shown[]>> = {
  'an entry without data, with more, of zero length': [
    [real, 'without the field data', 'with more fields', 'of zero length'],
  ],
  'a body that is no JSON, or no object': [
    [real, 'that is not JSON', 'that ends early', 'null', 'a list', 'a text', 'a number'],
    [real, 'of an external stream is any JSON; what is none is a dead letter at once'],
  ],
  'a body that is no text': [
    [real, 'that is not UTF-8', 'with half a surrogate pair as bytes', 'with U+0000 in it', 'with a byte-order mark'],
  ],
  'headers that are missing or of another type': [
    [real, 'without metadata', 'without headers', 'without an id', 'with a number for its id'],
    [real, 'without a type', 'without a stream', 'of a type that is none'],
  ],
  'a type that nobody handles, a version that nobody knows': [
    [real, 'OrderLost'],
    [
      'integration/messages.test.ts',
      'that come from elsewhere become a dead letter once where they are wrong, and no log says what they hold',
    ],
  ],
  'names that every object answers to': [
    [real, 'whose payload has the key __proto__', 'hasOwnProperty'],
    [ingress, 'a payload that changes prototypes', 'the path of an inherited name'],
    ['unit/handler-define.test.ts', 'finds no function for names that every object answers to'],
  ],
  'a payload that is deep or large': [
    [real, 'nested 100,000 deep', 'of 10 MB', 'that is too large'],
    [ingress, 'a payload nested 65 deep', 'a body that is too large'],
  ],
  'one key twice': [[real, 'with one key twice', 'keeps its payload to the letter, one key twice included']],
  'times that are none': [[real, 'yesterday', '2026-12-31T23:59:60Z']],
  'an entry from the future': [
    [real, 'with an id far in the future is handled, and so are those that come after it'],
    [
      'unit/telemetry-metrics.test.ts',
      'is no latency where the message says no time, and none below 0 where clocks differ',
    ],
  ],
  'a message that comes twice': [
    [real, 'that comes twice has one effect'],
    ['integration/cli-dlq.test.ts', 'replays each letter once although two replay at the same time'],
  ],
  'a row of the outbox': [
    [real, 'of an unknown status', 'of an empty category', 'of a negative priority', 'of an id above 2^53'],
    [
      real,
      'of more attempts than may be',
      'that no consumer can read is published, and is a dead letter with its place',
    ],
    ['unit/relay.test.ts', 'abandons a row whose key cannot name a partition, and its neighbours go on'],
  ],
  'a database that lacks something': [
    [
      'integration/postgresql-schema.test.ts',
      'finds that nothing is there',
      'finds every table, column and function that is missing or another',
      'finds rights that are missing, with the statements that give them',
    ],
  ],
};

const requests: Readonly<Record<string, readonly Shown[]>> = {
  'a client that holds on': [
    [health, 'with headers that do not end is answered 408', 'and says nothing is closed'],
    [health, 'does not keep the others from being answered, up to the bound of connections'],
  ],
  'what is no HTTP as it should be': [
    [health, 'headers of 20 KB', 'a URL of 20 KB', 'garbage', 'the hello of TLS', 'no Host', 'two lengths'],
    [health, 'a CR in a header', 'a NUL in the path', 'a method that is none'],
  ],
  'what is not for reading': [
    [health, 'is answered before its body has come', 'is refused as CONNECT too', 'ignore a wish for another protocol'],
    [health, 'is closed after its answer when a GET has a body'],
  ],
  'a port that cannot be had': [
    [health, 'says so with the key of domain.toml when the port is in use'],
    [health, 'says so with the key of domain.toml when the address is not of this machine'],
    ['e2e/first-errors.test.ts', 'a port that is taken'],
  ],
  'scrapes without end, labels without number': [
    ['unit/telemetry-metrics.test.ts', 'is rendered once a second, however often it is asked for'],
    ['unit/telemetry-metrics.test.ts', 'stays bounded whatever the labels are'],
  ],
  'a command line': [
    ['unit/commands.test.ts', 'an option twice', 'a value that begins with a dash', 'an argument too many'],
    ['unit/commands.test.ts', 'are there on a terminal, and nowhere else, and not where NO_COLOR is set'],
  ],
};

const texts = new Map<string, string>();
const textOf = (file: string): string => {
  const text = texts.get(file) ?? readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
  texts.set(file, text);
  return text;
};
const isIn = (file: string, name: string): boolean =>
  ["'", '"', '`'].some((quote) => textOf(file).includes(`${quote}${name}${quote}`));

for (const [where, inputs] of Object.entries({ 'domain.toml': domainToml, modules, messages, requests })) {
  describe(`bad input of ${where}`, () => {
    for (const [input, shown] of Object.entries(inputs)) {
      it(`${input}: each is tried where this table says`, () => {
        const untried = shown.flatMap(([file, ...tests]) =>
          tests.filter((name) => !isIn(file, name)).map((name) => `${file}: ${name}`),
        );
        assert.deepEqual(untried, []);
      });
    }
  });
}
