import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { tools, toolsAdvice } from '../../scripts/deploy-tools.mjs';
import { blocksOf, root } from '../docs/markdown.ts';
import { commandsOf, putPrograms } from '../docs/shell.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Terminal } from '../support/terminal.ts';
import { openTerminal } from '../support/terminal.ts';

const blocks = blocksOf('docs/quickstart.md');
const [start = [], order = [], own = [], again = [], onServers = [], rendered = []] = blocks
  .filter(({ language }) => language === 'sh')
  .map((block) => commandsOf(block).map(({ text }) => text));
const only = (language: string): string => blocks.find((block) => block.language === language)?.text ?? '';

describe('the quickstart, from a clone with Node and npm', () => {
  let folder: string;
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let ingress: number;
  let one: Terminal;
  let other: Terminal;

  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis({ appendonly: true })]);
    folder = mkdtempSync(join(tmpdir(), 'domaind-quickstart-'));
    // What `npm link` would put on the PATH; what `npm ci` would install is there.
    mkdirSync(join(folder, 'bin'));
    putPrograms(join(folder, 'bin'));
    ingress = await freePort();
    // Of the clone, what the commands touch: where the domain is made is not the tree of these tests.
    for (const name of [
      'helm',
      'domain.toml',
      'examples',
      'package.json',
      'node_modules',
      'src',
      'config',
      'tsconfig.json',
    ])
      symlinkSync(join(root, name), join(folder, name));
    const environment = {
      PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      HEALTH_PORT: '0',
      INGRESS_PORT: String(ingress),
      DATABASE_URL: '',
      REDIS_URL: '',
      NO_COLOR: '1',
    };
    one = openTerminal(folder, environment, 60_000);
    other = openTerminal(folder, environment, 60_000);
  });
  after(async () => {
    await Promise.all([one?.close(), other?.close()]);
    await Promise.all([postgresql?.stop(), redis?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  let count = 0;
  /** Pastes a command, and answers what was printed until its end. */
  async function paste(terminal: Terminal, line: string): Promise<string> {
    count += 1;
    terminal.type(`${line}; echo "end-${count}=$?"`);
    const text = await terminal.sees(new RegExp(`end-${count}=(\\d+)\\n`));
    assert.match(text, new RegExp(`end-${count}=0\\n`), `${line}\n${text}`);
    return text;
  }
  const here = (line: string) => line.replace(':8081/', `:${ingress}/`);

  it('handles a message of the bookshelf', async () => {
    assert.deepEqual(start, ['npm ci', 'npm start']);
    one.type('unset DATABASE_URL REDIS_URL; npm start');
    await one.sees(/daemon\.ready/);
    for (const line of order) assert.match(await paste(other, here(line)), /HTTP\/1\.1 202/);
    await one.sees(/the customer is told OrderNotifications/);
    await one.sees(/delivery\.handled OrderSummary Bookshelf\.OrderPlaced/);
    one.interrupt();
    await one.sees(/daemon\.stopped/);
  });

  it('takes a handler of your own while it runs', async () => {
    const [install, ...rest] = own;
    assert.equal(install, 'npm run build && npm link');
    assert.deepEqual(rest, ['domaind init bookshop && cd bookshop', 'domaind check', 'domaind dev']);
    await paste(one, rest[0] ?? '');
    assert.match(await paste(one, rest[1] ?? ''), /sound, with 2 handlers/);
    one.type(rest[2] ?? '');
    await one.sees(/daemon\.ready/);
    const code = only('js');
    const [, file = ''] = /^\/\/ (\S+)\n/.exec(code) ?? [];
    writeFileSync(join(folder, 'bookshop', file), code);
    assert.match(await one.sees(/daemon\.ready/), /^Stock +bookshop::order /m);
    for (const line of again) assert.match(await paste(other, here(line)), /"message_id"/);
    await one.sees(/a book leaves the shelf/);
    one.interrupt();
    await one.sees(/daemon\.stopped/);
  });

  it('runs on PostgreSQL and Redis', async () => {
    const database = await postgresql.createDatabase();
    const printed: string[] = [];
    for (const line of onServers) {
      const text = line.replace(/postgresql:\/\/\S+/, database).replace(/redis:\/\/\S+/, redis.url);
      printed.push(await paste(one, text));
    }
    assert.match(printed.join('\n'), /set up[\s\S]*all is well[\s\S]*a book leaves the shelf[\s\S]*no dead letters/);
  });

  it('renders the chart for it', { skip: !existsSync(tools.helm) && !process.env['CI'] && toolsAdvice }, async () => {
    writeFileSync(join(folder, 'bookshop', 'values.yaml'), only('yaml'));
    const [line = ''] = rendered;
    assert.equal(rendered.length, 1);
    const text = await paste(one, `${line} > rendered.yaml; cat rendered.yaml`);
    const kinds = parseAllDocuments(text.slice(text.indexOf('---'), text.lastIndexOf('end-')))
      .map((document) => document.toJS() as { readonly kind?: string } | null)
      .map((manifest) => manifest?.kind);
    for (const kind of ['Deployment', 'Job', 'ConfigMap']) assert.ok(kinds.includes(kind), `${kind} of ${kinds}`);
    assert.match(text, /name = \\?"bookshop/);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
