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

/** A client of the application's HTTP API. */
async function shop(application: Script) {
  const line = await application.seen(/the bookshop is open/);
  const address = /http:\S+/.exec(line)?.[0] ?? '';
  return async (request: string, body?: object, headers: Readonly<Record<string, string>> = {}) => {
    const [method = '', path = ''] = request.split(' ');
    const answer = await fetch(`${address}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return [answer.status, await answer.json()] as const;
  };
}

describe('the application of the bookshelf with nothing installed', () => {
  it('carries out its commands itself, and keeps what follows from them', async () => {
    const application = startScript('application.ts', [], { DOMAIND_ENV: 'sync', PORT: '0' });
    const ask = await shop(application);
    const book = { book_id: 'b-1', title: 'Dune', author: 'Frank Herbert', price: 12 };
    assert.equal((await ask('POST /books', book))[0], 201);
    assert.deepEqual(await ask('GET /catalogue/b-1'), [200, { label: 'Dune, by Frank Herbert', price: 12 }]);
    const order = { customer: 'Ada', items: ['Dune', 'Emma'] };
    assert.deepEqual(await ask('POST /orders', order, { 'idempotency-key': 'form-1' }), [201, { order_id: 'form-1' }]);
    assert.deepEqual(await ask('POST /orders', order, { 'idempotency-key': 'form-1' }), [201, { order_id: 'form-1' }]);
    assert.deepEqual(await ask('GET /customers/Ada'), [200, { orders: 1, books: 2 }]);
    assert.deepEqual(await ask('POST /orders/form-1/cancellation'), [200, { order_id: 'form-1' }]);
    assert.deepEqual(await ask('GET /orders/form-1'), [200, { ...order, status: 'cancelled' }]);
    assert.deepEqual(await ask('GET /customers/Ada'), [200, { orders: 0, books: 0 }]);
    assert.deepEqual(await ask('POST /orders', { customer: 'Ada', items: [] }), [
      409,
      { error: 'an order needs at least one item' },
    ]);
    assert.deepEqual(await ask('POST /orders/none/cancellation'), [409, { error: 'there is no such order' }]);
    assert.equal(await application.end(), 0);
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

  it('does what its application asks, and what another system orders by a stream', async () => {
    const environment = { DATABASE_URL: await postgresql.createDatabase(), REDIS_URL: redis.url };
    const bookshelf = startScript('start.ts', [], environment);
    await bookshelf.seen(/"daemon\.ready"/);
    const application = startScript('application.ts', [], { ...environment, DOMAIND_ENV: 'production', PORT: '0' });
    const ask = await shop(application);
    const order = { customer: 'Grace', items: ['Solaris'] };
    assert.deepEqual(await ask('POST /orders', order, { 'idempotency-key': 'form-2' }), [202, { order_id: 'form-2' }]);
    await redis.cli(
      'XADD',
      'external-orders',
      '*',
      'data',
      JSON.stringify({ customer: 'Grace', items: ['Emma', 'Dune'] }),
    );
    const customerHas = (orders: number, books: number) =>
      until(`${orders} orders of ${books} books`, async () => {
        const [, summary] = await ask('GET /customers/Grace');
        return JSON.stringify(summary) === JSON.stringify({ books, orders }) ||
          JSON.stringify(summary) === JSON.stringify({ orders, books })
          ? true
          : null;
      });
    await customerHas(2, 3);
    // The application's own transaction; the daemon hears of it by the outbox.
    assert.deepEqual(await ask('POST /orders/form-2/cancellation'), [200, { order_id: 'form-2' }]);
    await customerHas(1, 2);
    assert.deepEqual(await ask('GET /orders/form-2'), [200, { ...order, status: 'cancelled' }]);
    await bookshelf.seen(/the customer is told/);
    assert.equal(await application.end(), 0);
    assert.equal(await bookshelf.end(), 0);
  });
});
