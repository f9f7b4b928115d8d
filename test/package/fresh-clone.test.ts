import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tools, toolsAdvice } from '../../scripts/deploy-tools.mjs';
import { blocksOf, root } from '../docs/markdown.ts';
import { commandsOf } from '../docs/shell.ts';
import type { Terminal } from '../support/terminal.ts';
import { openTerminal } from '../support/terminal.ts';

const blocks = blocksOf('docs/quickstart.md');
const [start = [], order = [], own = [], again = [], , rendered = []] = blocks
  .filter(({ language }) => language === 'sh')
  .map((block) => commandsOf(block).map(({ text }) => text));
const only = (language: string): string => blocks.find((block) => block.language === language)?.text ?? '';

describe('a fresh clone on a machine with Node and npm', () => {
  let folder: string;
  let clone: string;
  let one: Terminal;
  let other: Terminal;
  let begun: number;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'domaind-clone-'));
    clone = join(folder, 'domaind');
    execFileSync('git', ['clone', '--quiet', root, clone]);
    const programs = join(folder, 'bin');
    mkdirSync(programs);
    if (existsSync(tools.helm)) symlinkSync(tools.helm, join(programs, 'helm'));
    const npm = execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim();
    symlinkSync(process.execPath, join(programs, 'node'));
    for (const name of ['npm', 'npx']) symlinkSync(join(npm, 'npm', 'bin', `${name}-cli.js`), join(programs, name));
    // Where npm links commands to; a machine has its own.
    const prefix = join(folder, 'prefix');
    const environment = {
      PATH: `${programs}:${join(prefix, 'bin')}:/usr/bin:/bin`,
      npm_config_prefix: prefix,
      HEALTH_PORT: '0',
      NO_COLOR: '1',
    };
    one = openTerminal(clone, environment, 300_000);
    other = openTerminal(clone, environment, 300_000);
    begun = performance.now();
  });
  after(async () => {
    await Promise.all([one?.close(), other?.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  let count = 0;
  async function paste(terminal: Terminal, line: string): Promise<string> {
    count += 1;
    terminal.type(`${line}; echo "end-${count}=$?"`);
    const text = await terminal.sees(new RegExp(`end-${count}=(\\d+)\\n`));
    assert.match(text, new RegExp(`end-${count}=0\\n`), `${line}\n${text}`);
    return text;
  }
  const elapsed = (): number => Math.round((performance.now() - begun) / 1000);

  it('has handled a message within two minutes', async (t) => {
    const [install = '', run = ''] = start;
    await paste(one, install);
    one.type(run);
    await one.sees(/daemon\.ready/);
    for (const line of order) assert.match(await paste(other, line), /HTTP\/1\.1 202/);
    await one.sees(/the customer is told OrderNotifications/);
    t.diagnostic(`after ${elapsed()} s`);
    assert.ok(elapsed() < 120);
    one.interrupt();
    await one.sees(/daemon\.stopped/);
  });

  it('has run a handler of your own within five', async (t) => {
    for (const line of own.slice(0, -1)) await paste(one, line);
    one.type(own.at(-1) ?? '');
    await one.sees(/daemon\.ready/);
    const code = only('js');
    writeFileSync(join(clone, 'bookshop', /^\/\/ (\S+)\n/.exec(code)?.[1] ?? ''), code);
    await one.sees(/daemon\.ready/);
    for (const line of again) await paste(other, line);
    await one.sees(/a book leaves the shelf/);
    t.diagnostic(`after ${elapsed()} s`);
    assert.ok(elapsed() < 300);
    one.interrupt();
    await one.sees(/daemon\.stopped/);
  });

  it('has rendered the chart for its domain.toml within ten', {
    skip: !existsSync(tools.helm) && toolsAdvice,
  }, async (t) => {
    writeFileSync(join(clone, 'bookshop', 'values.yaml'), only('yaml'));
    assert.match(await paste(one, rendered[0] ?? ''), /^kind: Deployment$/m);
    t.diagnostic(`after ${elapsed()} s`);
    assert.ok(elapsed() < 600);
  });
});
