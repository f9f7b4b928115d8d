import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { connect } from '../../src/client/index.ts';
import { checksumOf } from '../../src/message/checksum.ts';
import type { Daemon } from '../support/daemon.ts';
import { runDomaind, startDaemon } from '../support/daemon.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const files = {
  'domain.toml': `name = "shop"
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[schemas]
path = "schemas"
unknown_fields = "refuse"
[outbox]
tick_interval = 0.05
[server.health]
enabled = false
[server.ingress]
enabled = true
port = 0
[logging]
level = "debug"
format = "json"
`,
  'handlers/order.mjs': `import { commandHandler, eventHandler, upcaster } from 'domaind';
const note = (message, ctx) => {
  const { headers, domain } = message.metadata;
  const seen = { name: message.name, version: message.version, data: message.data, id: message.id };
  const carried = { trace: headers.traceparent, correlation: domain.correlation_id, causation: domain.causation_id };
  return ctx.sql\`insert into seen (what) values (\${ctx.sql.json({ ...seen, ...carried })})\`;
};
export const Orders = commandHandler({
  category: 'order',
  handles: {
    PlaceOrder: async (command, ctx) => {
      await note(command, ctx);
      ctx.raise('OrderPlaced', { category: 'order', id: command.data.order_id, data: { order_id: command.data.order_id } });
    },
    ShipOrder: note,
  },
});
export const Shipping = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced: async (event, ctx) => {
      await note(event, ctx);
      ctx.process('ShipOrder', {}, { category: 'order', id: event.data.order_id });
    },
  },
});
export const First = upcaster({ type: 'OrderPlaced', from: 1, to: 2, up: ({ id }) => ({ order_id: id }) });
`,
  'schemas/PlaceOrder.json': JSON.stringify({
    type: 'object',
    properties: { order_id: { type: 'string' }, lines: { type: 'array', items: { $ref: '_line.json' } } },
    required: ['order_id'],
  }),
  'schemas/OrderPlaced.v2.json': JSON.stringify({
    type: 'object',
    properties: { order_id: { type: 'string' } },
    required: ['order_id'],
  }),
  'schemas/_line.json': JSON.stringify({ type: 'object', properties: { price: { type: 'number' } } }),
};
const canary = 'canary-0451';

interface Seen {
  readonly name: string;
  readonly version: number;
  readonly data: { readonly [key: string]: unknown };
  readonly id: string;
  readonly trace: { readonly trace_id: string; readonly parent_id: string; readonly sampled: boolean } | null;
  readonly correlation: string | null;
  readonly causation: string | null;
}

describe('messages on real servers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-messages-'));
  const config = join(folder, 'domain.toml');
  let postgresql: PostgresqlServer;
  let redisServer: RedisServer;
  let redis: Redis;
  let sql: postgres.Sql;
  let daemon: Daemon;
  let address = '';
  let databaseUri = '';
  let environment: Record<string, string> = {};

  before(async () => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    [postgresql, redisServer] = await Promise.all([startPostgresql(), startRedis()]);
    databaseUri = await postgresql.createDatabase();
    environment = { DATABASE_URL: databaseUri, REDIS_URL: redisServer.url };
    const setup = await runDomaind(['db', 'setup', '--config', config], environment);
    assert.equal(setup.code, 0, setup.err);
    redis = new Redis(redisServer.url);
    sql = postgres(databaseUri, { max: 1, onnotice: () => undefined });
    await sql`create table seen (n bigint generated always as identity, what jsonb not null)`;
    daemon = startDaemon(['server', '--config', config], environment);
    await daemon.seen('daemon.ready');
    const { port } = await daemon.seen('http.listening');
    address = `http://127.0.0.1:${port}`;
  });
  after(async () => {
    daemon?.signal('SIGKILL');
    redis?.disconnect();
    await sql?.end();
    await Promise.all([redisServer?.stop(), postgresql?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${address}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const seenOf = async (order: string): Promise<readonly Seen[]> => {
    const rows = await sql<{ what: Seen }[]>`
      select what from seen where what ->> 'correlation' = ${order} or what -> 'data' ->> 'order_id' = ${order} order by n`;
    return rows.map(({ what }) => what);
  };
  const seen = (order: string, count: number) =>
    until(`${count} messages of ${order}`, async () => {
      const found = await seenOf(order);
      return found.length >= count ? found : null;
    });
  /** An entry as another service writes it. */
  const arrive = (id: string, version: number, dataText: string, checksum: string | null) => {
    const headers = { id, type: `Shop.OrderPlaced.v${version}`, stream: `shop::order-${id}` };
    const envelope = { specversion: '1.0', checksum };
    const metadata = JSON.stringify({ headers, envelope, domain: { kind: 'EVENT' } });
    return redis.xadd('shop::order', '*', 'data', `{"data": ${dataText}, "metadata": ${metadata}}`);
  };
  const deadLetter = (id: string) =>
    until(`the dead letter of ${id}`, async () => {
      const letters = (await redis.xrange('shop::order:dlq', '-', '+')).map(([, [, body = '']]) => JSON.parse(body));
      const found = letters.filter(({ metadata }) => metadata.headers.id === id);
      return found.length > 0 ? found.map(({ _dlq_metadata }) => _dlq_metadata) : null;
    });

  it('carry correlation, causation and trace from an HTTP request to the last command', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const answer = await post(
      '/commands/order/PlaceOrder',
      { order_id: 'o-1' },
      { traceparent, 'x-correlation-id': 'r-1' },
    );
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get('traceparent'), traceparent);
    const found = await seen('r-1', 3);
    assert.deepEqual(
      found.map(({ name, version }) => `${name} ${version}`),
      ['PlaceOrder 1', 'OrderPlaced 2', 'ShipOrder 1'],
    );
    const trace = { trace_id: '0af7651916cd43dd8448eb211c80319c', parent_id: 'b7ad6b7169203331', sampled: true };
    for (const each of found) assert.deepEqual([each.correlation, each.trace], ['r-1', trace]);
    const [place, placed, ship] = found;
    assert.deepEqual([place?.causation, placed?.causation, ship?.causation], [null, place?.id, placed?.id]);
  });

  it('are refused where they are sent, with the path of the fault', async () => {
    const wrong = { order_id: 'o-2', lines: [{ price: 1 }, { price: canary }] };
    const said = 'PlaceOrder (version 1): lines[1].price must be number';
    const answer = await post('/commands/order/PlaceOrder', wrong);
    assert.equal(answer.status, 422);
    assert.deepEqual(await answer.json(), { error: 'invalid_payload', message: said });
    const argv = ['process', 'PlaceOrder', '--category', 'order', '--config', config, '--data', JSON.stringify(wrong)];
    const ran = await runDomaind(argv, environment);
    assert.deepEqual([ran.code, ran.err.trim()], [1, `domaind: ${said}`]);
    const client = await connect({ databaseUri, schemas: join(folder, 'schemas') });
    const sent = () => client.process('PlaceOrder', wrong, { category: 'order' });
    await assert.rejects(sent, { name: 'InvalidMessageError', message: said });
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    await client.process(
      'PlaceOrder',
      { order_id: 'o-3' },
      { category: 'order', correlationId: 'r-3', traceparent: trace },
    );
    await client.close();
    assert.equal((await seen('r-3', 1))[0]?.trace?.sampled, false);
    const [{ count } = { count: null }] = await sql`select count(*) from outbox where data ->> 'order_id' = 'o-2'`;
    assert.equal(count, '0');
  });

  it('that come from elsewhere become a dead letter once where they are wrong, and no log says what they hold', async () => {
    await arrive('wrong', 2, `{"order_id": 7, "secret": "${canary}"}`, null);
    await arrive('unknown', 2, `{"order_id": "o-4", "custmer": "${canary}"}`, null);
    await arrive('changed', 2, `{"order_id": "o-5"}`, checksumOf('{"order_id":"o-6"}'));
    await arrive('newer', 3, '{}', null);
    const causes = await Promise.all(['wrong', 'unknown', 'changed', 'newer'].map(deadLetter));
    assert.deepEqual(
      causes.map((letters) => letters.map((each) => [each.failure_reason, each.error_message, each.retry_count])),
      [
        [['invalid_payload', 'OrderPlaced (version 2): order_id must be string', 1]],
        [['invalid_payload', 'OrderPlaced (version 2): custmer is not known', 1]],
        [['checksum_mismatch', 'data is not what metadata.envelope.checksum was made of', 1]],
        [
          [
            'unknown_version',
            'version 3 of OrderPlaced is not known: there is no schema of it, and no upcaster from it to version 2',
            1,
          ],
        ],
      ],
    );
    assert.ok(daemon.lines.some(({ msg }) => msg === 'delivery.dead_lettered'));
    assert.doesNotMatch(JSON.stringify(daemon.lines), new RegExp(canary));
  });

  it('that come from elsewhere in an old version are handled in the newest', async () => {
    const dataText = '{"id": "o-7"}';
    await arrive('old', 1, dataText, checksumOf(dataText));
    const [placed] = await seen('o-7', 1);
    assert.deepEqual([placed?.version, placed?.data], [2, { order_id: 'o-7' }]);
  });

  it('with one idempotency key have one id and one effect', async () => {
    const send = async () => {
      const headers = { 'idempotency-key': 'k-1', 'x-correlation-id': 'r-8' };
      const answer = await post('/commands/order/PlaceOrder', { order_id: 'o-8' }, headers);
      return ((await answer.json()) as { readonly message_id: string }).message_id;
    };
    const ids = new Set([await send(), await send(), await send()]);
    assert.equal(ids.size, 1);
    const handled = () =>
      daemon.lines.filter((each) => each.msg === 'delivery.handled' && ids.has(String(each['message_id'])));
    await until('three deliveries', async () => (handled().length >= 3 ? true : null));
    assert.deepEqual(
      handled()
        .map((each) => each['outcome'])
        .sort(),
      ['duplicate', 'duplicate', 'ok'],
    );
    await seen('r-8', 3);
    assert.equal((await seenOf('r-8')).filter(({ name }) => name === 'PlaceOrder').length, 1);
  });

  it('are not handled any more once their deadline has passed', async () => {
    const client = await connect({ databaseUri });
    const id = await client.process(
      'PlaceOrder',
      { order_id: 'o-9' },
      { category: 'order', deadline: '2020-01-01T00:00:00Z', correlationId: 'r-9' },
    );
    await client.close();
    const letter = await until('the dead letter', async () => {
      const letters = await redis.xrange('shop::order:command:dlq', '-', '+');
      return (
        letters.map(([, [, body = '']]) => JSON.parse(body)).find((each) => each.metadata.headers.id === id) ?? null
      );
    });
    assert.equal(letter._dlq_metadata.failure_reason, 'deadline_passed');
    assert.deepEqual(await seenOf('r-9'), []);
  });
});
