import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import type { Command } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { findingText } from '../../src/cli/finding-text.ts';
import { run } from '../support/run-command.ts';

/** Nothing of a domain is there. */
const cwd = tmpdir();

/** Those whose answer is a running daemon. */
const daemons = new Set(['dev']);

const all: readonly Command[] = await Promise.all([...commands.values()].map((load) => load()));

/** Those that users depend on. */
const promised =
  'server dev init check doctor config db status subscriptions outbox dlq explain process raise publish healthcheck version';

describe('the commands', () => {
  it('are all that users were promised', () => {
    assert.deepEqual(
      promised.split(' ').filter((name) => !commands.has(name)),
      [],
    );
  });

  it('are listed by help with a line each that fits 80 columns', async () => {
    const { code, out } = await run(['help'], { cwd });
    assert.equal(code, 0);
    for (const { name, summary } of all) {
      assert.ok(
        out.split('\n').some((line) => line.startsWith(`  ${name} `)),
        `${name}: ${summary}`,
      );
    }
    assert.deepEqual(
      out.split('\n').filter((line) => line.length > 80),
      [],
    );
  });

  it('are suggested for a slip of the keyboard', async () => {
    const { code, err } = await run(['sttaus'], { cwd });
    assert.equal(code, 2);
    assert.match(err, /there is no command "sttaus" \(did you mean "status"\?\)/);
  });

  for (const { name, help } of all) {
    it(`${name} --help shows its usage and an example in 80 columns, without a domain`, async () => {
      const { code, out, err } = await run([name, '--help'], { cwd });
      assert.equal(code, 0);
      assert.equal(err, '');
      assert.match(out, new RegExp(`^usage: domaind ${name}\\b`));
      assert.match(out, new RegExp(`^examples?: +domaind ${name}\\b`, 'm'));
      assert.deepEqual(
        out.split('\n').filter((line) => line.length > 80),
        [],
      );
      assert.doesNotMatch(out, /(?!\n)\p{Cc}/u);
      if (!daemons.has(name)) assert.match(help, /--json/);
    });

    it(`${name} refuses an option it does not know with its usage and exit code 2`, async () => {
      const first = /^usage: domaind \S+ ([a-z]+)(?=[| ])/.exec(help)?.[1];
      const argv = [name, ...(first === undefined ? [] : [first]), '--no-such-option'];
      const { code, out, err } = await run(argv, { cwd });
      assert.equal(code, 2, `${err}${out}`);
      assert.match(err, /no-such-option/);
      assert.match(err, /^usage: domaind /m);
      assert.equal(out, '');
    });
  }
});

interface BadCall {
  readonly argv: readonly string[];
  readonly says: RegExp;
}

const badCalls: Readonly<Record<string, BadCall>> = {
  'a command that is none': {
    argv: ['servr'],
    says: /^domaind: there is no command "servr" \(did you mean "server"\?\)/,
  },
  'an option twice': {
    argv: ['status', '--env', 'a', '--env', 'b'],
    says: /^domaind: --env is given 2 times\nusage: domaind status /,
  },
  'an option without its value': {
    argv: ['status', '--env'],
    says: /^domaind: Option '--env <value>' argument missing/,
  },
  'an option with a value that it does not take': {
    argv: ['status', '--json=yes'],
    says: /^domaind: Option '--json' does not take an argument/,
  },
  'a value that begins with a dash': {
    argv: ['status', '--config', '--json'],
    says: /^domaind: Option '--config( <value>)?' argument is ambiguous/,
  },
  'an argument too many': {
    argv: ['status', 'é\u202e'],
    says: /^domaind: unexpected "é\u202e"\nusage: domaind status /,
  },
  'a number that is none': {
    argv: ['healthcheck', '--port', '8O'],
    says: /^domaind: --port must be a whole number not below 1, got "8O"/,
  },
  'a part of the daemon that is none': {
    argv: ['server', '--only', 'relays'],
    says: /^domaind: --only takes relay or subscriptions, got "relays"/,
  },
  'a format that is none': {
    argv: ['check', '--format', 'xml'],
    says: /^domaind: --format takes text, json, sarif, github/,
  },
  'no subject': { argv: ['explain'], says: /^domaind: one ID is needed\nusage: domaind explain / },
  'a subcommand that is none': {
    argv: ['config', 'shw'],
    says: /^domaind: there is no config shw\nusage: domaind config /,
  },
};

describe('a command that is called wrongly', () => {
  for (const [what, { argv, says }] of Object.entries(badCalls)) {
    it(`with ${what} says so, with its usage, and ends with 2`, async () => {
      const { code, out, err } = await run(argv, { cwd });
      assert.equal(code, 2, err);
      assert.match(err, says);
      assert.equal(out, '');
    });
  }
});

describe('colours', () => {
  const findings = [
    { code: 'eviction', severity: 'error', subject: 'broker "default"', what: 'w', evidence: 'e', mend: 'm' } as const,
  ];
  const io = { out: () => undefined, err: () => undefined, cwd, width: 80, isTty: true };
  const shown = (environment: Readonly<Record<string, string>>, isTty: boolean) =>
    findings.map((finding) => findingText(finding, { ...io, environment, isTty })).join('');

  it('are there on a terminal, and nowhere else, and not where NO_COLOR is set', () => {
    assert.ok(shown({}, true).startsWith('\u001b[31merror\u001b[0m: '));
    assert.ok(shown({}, false).startsWith('error: '));
    assert.ok(shown({ NO_COLOR: '1' }, true).startsWith('error: '));
  });
});
