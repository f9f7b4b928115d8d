import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Script {
  readonly lines: readonly string[];
  /** The first line, past or future, that matches. Rejects when the script ends without one. */
  seen(pattern: RegExp): Promise<string>;
  end(): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

/** Runs a script of the bookshelf as its npm command does, and reads all it says. */
function startScript(name: string, args: readonly string[], environment: Readonly<Record<string, string>>): Script {
  const absent = { DATABASE_URL: '', REDIS_URL: '', NODE_TEST_CONTEXT: undefined };
  const child: ChildProcess = spawn(
    process.execPath,
    ['--conditions=domaind-source', '--import=tsx', join(root, 'examples/bookshelf', name), ...args],
    {
      cwd: root,
      env: { ...process.env, ...absent, HEALTH_PORT: '0', INGRESS_PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  let over = false;
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      over = true;
      process.off('exit', onExit);
      resolve(code);
    }),
  );
  return {
    lines,
    ended,
    seen: (pattern) =>
      until(String(pattern), async () => {
        const found = lines.find((line) => pattern.test(line));
        assert.ok(found !== undefined || !over, `${name} has ended\n${lines.join('\n')}`);
        return found ?? null;
      }),
    end() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

/** The request that the README tells a newcomer to paste. */
function requestOfReadme(): { readonly path: string; readonly body: string } {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, path, body] = /curl -i http:\/\/127\.0\.0\.1:8081(\S+) \\\n(?:.*\\\n)*? +-d '([^']*)'/.exec(readme) ?? [];
  assert.ok(path !== undefined && body !== undefined);
  return { path, body };
}

describe('npm start with nothing installed', () => {
  it("handles the message of the README's command, and what follows from it", async () => {
    const { path, body } = requestOfReadme();
    const bookshelf = startScript('start.ts', [], {});
    const [, port] = /"server":"ingress".*"port":(\d+)/.exec(await bookshelf.seen(/"server":"ingress"/)) ?? [];
    await bookshelf.seen(/"daemon\.ready"/);
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body });
    assert.equal(answer.status, 202);
    assert.match(await bookshelf.seen(/the customer is told/), /"order_id":"ord-1"/);
    assert.equal(await bookshelf.end(), 0);
  });
});

describe('npm start on PostgreSQL and Redis', () => {
  const orders = 6;
  let postgresql: PostgresqlServer;
  let redis: RedisServer;
  let url = '';

  before(async () => {
    postgresql = await startPostgresql();
    redis = await startRedis();
    url = await postgresql.createDatabase();
  });

  after(async () => {
    await redis?.stop();
    await postgresql?.stop();
  });

  it('makes its tables and handles what the producer sends by the client and by SQL', async () => {
    const environment = { DATABASE_URL: url, REDIS_URL: redis.url };
    const bookshelf = startScript('start.ts', [], environment);
    await bookshelf.seen(/"daemon\.ready"/);
    const producer = startScript('producer.ts', [`--count=${orders}`, '--rate=100'], environment);
    assert.equal(await producer.ended, 0, producer.lines.join('\n'));
    const query = `select coalesce(sum((value ->> 'orders')::int), 0) from document where collection = 'order_summaries'`;
    await until('every order in the summaries', async () =>
      (await postgresql.psql(url, query)) === String(orders) ? true : null,
    );
    assert.equal(await bookshelf.end(), 0);
  });
});
