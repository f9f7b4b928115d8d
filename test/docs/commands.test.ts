import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tools, toolsAdvice } from '../../scripts/deploy-tools.mjs';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';
import { blocks, blocksOf, placeOf, root, textOf } from './markdown.ts';
import type { CommandLine, Outcome } from './shell.ts';
import { bash, commandsIn, documentsWithCommands, putPrograms, reasonOf, stays } from './shell.ts';
import { triedElsewhere, untriedCommands } from './untried.ts';

const commandsRunIn = (document: string): readonly CommandLine[] =>
  commandsIn(document).filter((each) => reasonOf(each) === null || each.text.startsWith('domaind '));

describe('the commands of the documents', () => {
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  before(async () => {
    [postgresql, redis] = await Promise.all([startPostgresql(), startRedis({ appendonly: true })]);
  });
  after(() => Promise.all([postgresql?.stop(), redis?.stop()]));

  it('are run, but for those that are listed with a reason', (t) => {
    for (const { line, reason } of untriedCommands) t.diagnostic(`not run: ${line.source}: ${reason}`);
    const every = documentsWithCommands.flatMap(commandsIn);
    const unneeded = untriedCommands.filter(({ line }) => !every.some(({ text }) => line.test(text)));
    assert.deepEqual(unneeded, []);
  });

  it('stand in blocks that say so', () => {
    const bare = blocks.filter(({ language, text }) => {
      return ['', 'text'].includes(language) && /^(\$ )?(domaind|npm|npx|curl|docker|helm|kubectl) /m.test(text);
    });
    const helpOf = (file: string) => file === 'docs/commands.md';
    assert.deepEqual(bare.filter(({ file }) => !helpOf(file)).map(placeOf), []);
  });

  it('have tests of their own where they are told as a story', () => {
    for (const { file, test } of triedElsewhere) assert.ok(textOf(test).includes(`'${file}'`), test);
  });

  for (const document of documentsWithCommands) {
    const commands = commandsRunIn(document);
    if (commands.length > 0) {
      describe(document, () => tryAll(document, commands, () => ({ postgresql, redis })));
    }
  }
});

interface Servers {
  readonly postgresql: PostgresqlServer;
  readonly redis: RedisServer;
}

function tryAll(document: string, commands: readonly CommandLine[], servers: () => Servers): void {
  let top: string;
  let folder: string;
  let environment: Environment;
  let here: (text: string) => string;
  /** Of what stays in another terminal. */
  const running: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of running.splice(0)) await end();
  };

  before(async () => {
    const { postgresql, redis } = servers();
    await redis.cli('FLUSHALL');
    top = mkdtempSync(join(tmpdir(), 'domaind-docs-'));
    mkdirSync(join(top, 'bin'));
    putPrograms(join(top, 'bin'));
    const database = await postgresql.createDatabase();
    const [health, ingress] = [await freePort(), await freePort()];
    environment = {
      ...ambient(),
      PATH: `${join(top, 'bin')}:${process.env['PATH']}`,
      DATABASE_URL: database,
      REDIS_URL: redis.url,
      DOMAIND_ENV: 'production',
      HEALTH_PORT: String(health),
      INGRESS_PORT: String(ingress),
      TOKEN: 'a-token',
      NO_COLOR: '1',
    };
    here = (text) =>
      text
        .replaceAll(/postgresql:\/\/[^\s"']+/g, database)
        .replaceAll(/redis:\/\/[^\s"']+/g, redis.url)
        .replaceAll(/(127\.0\.0\.1|localhost):8080/g, `127.0.0.1:${health}`)
        .replaceAll(/(127\.0\.0\.1|localhost):8081/g, `127.0.0.1:${ingress}`)
        .replaceAll('{{name}}', 'bookshop');
    folder = await aDomain(top, document, here, environment);
    if (commands.some(({ text }) => text.startsWith('curl '))) {
      running.push(await aDaemon(folder, environment, document));
    }
  });
  after(async () => {
    await stop();
    rmSync(top, { recursive: true, force: true });
  });

  const said: string[] = [];
  for (const command of commands) {
    const needsHelm = command.text.startsWith('helm ') && !existsSync(tools.helm) && !process.env['CI'];
    it(`${placeOf(command)}: ${command.text.split('\n')[0]}`, { skip: needsHelm && toolsAdvice }, async () => {
      const text = here(command.text);
      if (/^(export|cd) /.test(text)) {
        said.push(text);
        return;
      }
      if (stays(command) && reasonOf(command) === null) {
        await stop();
        running.push(await aDaemon(folder, { ...environment, HEALTH_PORT: '0', INGRESS_PORT: '0' }, document, text));
        return;
      }
      const once = () => pasted([...said, text], folder, environment);
      if (reasonOf(command) !== null) {
        // It lacks what it is for, and is a command nevertheless.
        const { text: printed } = await once();
        assert.doesNotMatch(printed, /^usage:/m);
        return;
      }
      let { code, text: printed } = await once();
      // What it looks for is on its way, where a daemon runs in another terminal.
      for (const until = Date.now() + 15_000; code !== 0 && running.length > 0 && Date.now() < until; ) {
        ({ code, text: printed } = await once());
      }
      assert.equal(code, 0, printed);
      if (/^curl .*-i\b/.test(text)) assert.match(printed, /^HTTP\/1\.1 2\d\d /m);
    });
  }
}

type Environment = Readonly<Record<string, string>>;

/** The variables of this process, without those that are about domaind. */
const ambient = (): Environment =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || /^(DOMAIND_|PROTEAN_|NODE_TEST)/.test(name) ? [] : [[name, value]],
    ),
  );

/** Runs lines as bash does; a command of domaind alone in this process, by the arguments that bash makes of its line. */
async function pasted(lines: readonly string[], cwd: string, environment: Environment): Promise<Outcome> {
  const last = lines.at(-1) ?? '';
  if (!/^domaind [^|>&;]*$/.test(last)) return bash(lines, cwd, environment);
  const told = await bash([`domaind() { printf '%s\\0' "$@"; }`, ...lines], cwd, environment);
  assert.equal(told.code, 0, told.text);
  const { code, out, err } = await run(told.text.split('\0').slice(0, -1), { cwd, environment });
  return { code, text: `${out}\n${err}` };
}

/** A folder with the domain that a document speaks of, whose tables are there. */
async function aDomain(
  top: string,
  document: string,
  here: (text: string) => string,
  environment: Environment,
): Promise<string> {
  const ran = await run(['init', 'bookshop'], { cwd: top });
  assert.equal(ran.code, 0, ran.err);
  const folder = join(top, 'bookshop');
  symlinkSync(join(root, 'helm'), join(folder, 'helm'));
  const found = blocksOf(document);
  // What a page has as a whole file is what its commands are about.
  const config = found.find(({ language, text }) => language === 'toml' && text.includes('[brokers.default]'));
  if (document.endsWith('deploying.md') && config !== undefined)
    writeFileSync(join(folder, 'domain.toml'), here(config.text));
  const values = found.find(({ language, text }) => language === 'yaml' && text.includes('image:'));
  if (values !== undefined) writeFileSync(join(folder, 'values.yaml'), values.text.replaceAll(/^ {3}/gm, ''));
  const made = await pasted(['domaind db setup'], folder, environment);
  assert.equal(made.code, 0, made.text);
  return folder;
}

/** Starts what stays, in memory for those that send messages; how it is stopped, once it is ready. */
async function aDaemon(
  folder: string,
  environment: Environment,
  document: string,
  text = 'domaind dev',
): Promise<() => Promise<void>> {
  const inTheTree = document.startsWith('examples/');
  const { DOMAIND_ENV: _, ...plain } = environment;
  const child = spawn('bash', ['-c', `exec ${text}`], {
    cwd: inTheTree ? root : folder,
    env: text.startsWith('domaind dev') ? plain : environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let heard = '';
  let late: NodeJS.Timeout | undefined;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        heard += String(chunk);
        if (/daemon\.ready|"msg":"daemon.ready"/.test(heard) || !/^domaind (dev|server)/.test(text)) resolve();
      });
    }
    void ended.then(() => reject(new Error(`${text} ended:\n${heard}`)));
    // It waits for a change where its domain is broken.
    late = setTimeout(() => reject(new Error(`${text} is not ready:\n${heard}`)), 60_000);
  }).finally(() => clearTimeout(late));
  return async () => {
    child.kill('SIGTERM');
    await ended;
    process.off('exit', kill);
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
