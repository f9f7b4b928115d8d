import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runDomaind } from '../support/daemon.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

const memory = `
[databases.default]
provider = "memory"
[brokers.default]
provider = "inline"
[handlers]
path = "handlers"
`;
const handler = `import { eventHandler } from 'domaind';
export const Mail = eventHandler({ category: 'order', handles: { OrderPlaced: () => {} } });`;

interface Mistake {
  readonly toml?: string;
  readonly files?: { readonly [file: string]: string };
  readonly argv?: readonly string[];
  readonly environment?: { readonly [name: string]: string };
  readonly code: number;
  readonly says: readonly RegExp[];
}

describe("a newcomer's first mistake is answered with the sentence that mends it", () => {
  let folder = '';
  let unset = '';
  let taken = 0;
  const occupied = createServer();
  let stop = async () => undefined as unknown;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'domaind-errors-'));
    const postgresql = await startPostgresql();
    stop = () => postgresql.stop();
    unset = await postgresql.createDatabase();
    await new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve));
    const address = occupied.address();
    taken = typeof address === 'object' && address !== null ? address.port : 0;
  });
  after(async () => {
    occupied.close();
    await stop();
    await rm(folder, { recursive: true, force: true });
  });

  const mistakes: { readonly [what: string]: () => Mistake } = {
    'no domain.toml': () => ({
      argv: ['server', '--config', 'missing.toml'],
      code: 78,
      says: [/missing\.toml/, /no such file|does not exist|not found/],
    }),
    'a typo in a key': () => ({
      toml: memory.replace('provider = "inline"', 'provder = "inline"'),
      code: 78,
      says: [/domain\.toml:4:1 \[brokers\.default\] provder: unknown key \(did you mean "provider"\?\)/],
    }),
    'the name of a broker that is not there': () => ({
      toml: `${memory}\n[outbox]\nbroker = "main"\n`,
      code: 78,
      says: [/domain\.toml:9:1 \[outbox\] broker: there is no broker "main": there is default/],
    }),
    'Redis that does not run': () => ({
      toml: `${memory.replace('provider = "inline"', 'provider = "redis"\nURI = "redis://127.0.0.1:1/0"')}\n[server]\nstartup_timeout_seconds = 1\n`,
      code: 69,
      says: [/broker "default"/, /refused|cannot be reached|unreachable/],
    }),
    'a database without its tables': () => ({
      toml: memory.replace('provider = "memory"', `provider = "postgresql"\ndatabase_uri = "${unset}"`),
      code: 78,
      says: [/database "default"/, /domaind db setup/],
    }),
    'a path without handlers': () => ({
      toml: memory.replace('"handlers"', '"handler"'),
      code: 78,
      says: [/handler/, /no such|does not exist|not found|missing/],
    }),
    'a syntax error in a handler': () => ({
      files: { 'handlers/mail.mjs': `${handler}\nexport const = 1;` },
      code: 78,
      says: [/mail\.mjs:3:14|mail\.mjs:3/, /Unexpected token|syntax/i],
    }),
    'a port that is taken': () => ({
      toml: `${memory}\n[server.health]\nport = ${taken}\n`,
      code: 69,
      says: [/\[server\.health\] port/, new RegExp(String(taken))],
    }),
    'an option that is not there': () => ({ argv: ['server', '--confg', 'x'], code: 2, says: [/--confg/, /usage:/] }),
    'a command that is not there': () => ({ argv: ['serve'], code: 2, says: [/no command "serve"/, /server/] }),
  };

  for (const [what, make] of Object.entries(mistakes)) {
    it(what, async () => {
      const { toml = memory, files = { 'handlers/mail.mjs': handler }, argv, environment = {}, code, says } = make();
      const home = await mkdtemp(join(folder, 'case-'));
      await mkdir(join(home, 'handlers'));
      await writeFile(join(home, 'domain.toml'), toml.trimStart());
      for (const [file, text] of Object.entries(files)) await writeFile(join(home, file), text);
      const result = await runDomaind(
        argv ?? ['server', '--config', join(home, 'domain.toml'), '--until-idle'],
        environment,
      );
      const told = result.err.split('\n').filter((line) => !line.startsWith('{'));
      assert.equal(result.code, code, result.err);
      for (const sentence of says) assert.match(told.join('\n'), sentence);
      assert.ok(!/^\s+at /m.test(told.join('\n')), `a stack helps nobody here:\n${result.err}`);
    });
  }
});
