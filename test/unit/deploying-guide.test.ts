import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { tools } from '../../scripts/deploy-tools.mjs';
import { withTools } from '../support/chart.ts';
import { runDomaind } from '../support/daemon.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const guide = readFileSync(join(root, 'docs/deploying.md'), 'utf8');

/** The fenced blocks of a language, without the indent of the list that they stand in. */
const blocks = (language: string): readonly string[] =>
  [...guide.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'))].map(
    ([, indent = '', text = '']) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );

describe('the guide from a domain.toml to a rendered chart', withTools(tools.helm), () => {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-guide-'));
  before(async () => {
    writeFileSync(join(folder, 'domain.toml'), blocks('toml')[0] ?? '');
    writeFileSync(join(folder, 'values.yaml'), blocks('yaml')[0] ?? '');
    symlinkSync(join(root, 'helm'), join(folder, 'helm'));
    symlinkSync(join(root, 'examples/bookshelf/handlers'), join(folder, 'handlers'));
    symlinkSync(tools.helm, join(folder, 'helm-program'));
    const stores = '[databases.default]\nprovider = "memory"\n[brokers.default]\nprovider = "inline"\n';
    const handlers = `[handlers]\npath = ${JSON.stringify(join(root, 'examples/bookshelf/handlers'))}\n`;
    writeFileSync(
      join(folder, 'plan.toml'),
      `name = "bookshelf"\n${handlers}${stores}[server]\ndefault_subscription_type = "stream"\n`,
    );
    const { code, out, err } = await runDomaind([
      'server',
      '--dry-run',
      '--json',
      '--config',
      join(folder, 'plan.toml'),
    ]);
    assert.equal(code, 0, err);
    writeFileSync(join(folder, 'plan.json'), out);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The commands of the guide that begin with these words, as they stand there. */
  const commandsOf = (words: string): readonly string[] =>
    blocks('sh')
      .flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
      .filter((line) => line.startsWith(words));

  it('has commands that render what it promises', async () => {
    const rendered = await Promise.all(
      commandsOf('helm template').map(
        (command) =>
          new Promise<readonly string[]>((resolve, reject) =>
            execFile('sh', ['-c', command.replace(/^helm /, './helm-program ')], { cwd: folder }, (error, out, err) => {
              if (error !== null) return reject(new Error(`${command}\n${err}`));
              resolve(parseAllDocuments(out).map((document) => String(document.get('kind'))));
            }),
          ),
      ),
    );
    assert.equal(rendered.length, 2);
    const [plain = [], scaled = []] = rendered;
    for (const kind of ['Deployment', 'ConfigMap', 'Service', 'Job']) assert.ok(plain.includes(kind), kind);
    assert.ok(scaled.includes('ScaledObject'));
  });

  it('shows a configuration that the daemon takes', async () => {
    const { code, err } = await runDomaind(['check', '--config', join(folder, 'domain.toml')], {
      DATABASE_URL: 'postgresql://localhost/bookshelf',
    });
    assert.equal(code, 0, err);
  });
});
