import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import type { Command } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
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
