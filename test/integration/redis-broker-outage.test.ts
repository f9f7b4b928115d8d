import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { Consumer, Delivery } from '../../src/broker/broker.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { atOnce, bodiesOf, entry, once, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const quick = { connectTimeoutMs: 400, commandTimeoutMs: 400 };

/** Reads and acknowledges until every one of `texts` was seen; how often each was. */
async function readAll(consumer: Consumer, texts: readonly string[]): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  let acks: readonly Delivery[] = [];
  while (acks.length > 0 || texts.some((text) => !seen.has(text))) {
    const deliveries = await once(() => consumer.read({ ...atOnce, blockMs: 100, acks }));
    for (const { body } of deliveries) seen.set(body, (seen.get(body) ?? 0) + 1);
    acks = deliveries;
  }
  return seen;
}

const fronts: Server[] = [];

/** A port before Redis whose clients may vanish without Redis being told. */
async function frontFor(redisPort: number, clients: Set<Socket>): Promise<number> {
  const server = createServer((client) => {
    clients.add(client);
    const behind = connect({ host: '127.0.0.1', port: redisPort });
    behind.unref().on('data', (answer) => client.destroyed || client.write(answer));
    client.on('error', () => undefined).on('data', (request) => behind.write(request));
  });
  fronts.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('A Redis broker through outages', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis({ appendonly: true });
  });
  after(async () => {
    for (const server of fronts) server.close();
    await redis.stop();
  });

  it('loses nothing when the server is killed and comes back, and tells the outage once', async () => {
    const { broker, notices } = redisBrokerAt(redis.url, quick);
    const consumer = await broker.consume({ streams: ['killed'], group: 'g', consumer: 'c' });
    const texts = Array.from({ length: 40 }, (_, index) => `${index}`);
    const reading = readAll(consumer, texts);
    for (const [index, text] of texts.entries()) {
      if (index === 15) await redis.kill();
      const publishing = once(() => broker.publish([entry('killed', text)]));
      if (index === 15) await redis.restart();
      await publishing;
    }
    const seen = await reading;
    assert.deepEqual([...seen.keys()].sort(), [...texts].sort());
    assert.equal((await broker.inspect('killed', 'g')).pending, 0);
    assert.deepEqual(
      notices.map(({ kind }) => kind),
      ['connection_lost', 'connection_ready'],
    );
    await broker.close();
  });

  it('says that it is unavailable while there is no server, and never that there is nothing', async () => {
    const { broker } = redisBrokerAt(redis.url, quick);
    const consumer = await broker.consume({ streams: ['gone'], group: 'g', consumer: 'c' });
    await broker.publish([entry('gone', 'x')]);
    const [delivery] = await consumer.read(atOnce);
    assert.ok(delivery);
    await redis.kill();
    const calls = [
      () => broker.publish([entry('gone', 'y')]),
      () => broker.consume({ streams: ['gone'], group: 'g', consumer: 'd' }),
      () => broker.inspect('gone', 'g'),
      () => broker.length('gone'),
      () => broker.ping(),
      () => consumer.read(atOnce),
      () => consumer.read({ ...atOnce, blockMs: 50 }),
      () => consumer.settle([{ kind: 'ack', delivery }]),
      () => consumer.recordStart(delivery),
      () => consumer.retake([delivery]),
      () => consumer.heartbeat([delivery]),
      () => consumer.reclaim(10, 1_000),
      () => consumer.leave(),
    ];
    await Promise.all(calls.map((call) => assert.rejects(call, UnavailableError)));
    await redis.restart();
    await once(() => consumer.settle([{ kind: 'ack', delivery }]));
    await broker.close();
  });

  it('returns empty from a read that is told to stop while there is no server', async () => {
    const { broker } = redisBrokerAt(redis.url, { ...quick, connectTimeoutMs: 60_000 });
    const consumer = await broker.consume({ streams: ['stop'], group: 'g', consumer: 'c' });
    assert.deepEqual(await consumer.read(atOnce), []);
    redis.pause();
    await assert.rejects(consumer.read(atOnce), UnavailableError);
    const stop = new AbortController();
    const waiting = consumer.read({ ...atOnce, signal: stop.signal });
    stop.abort();
    assert.deepEqual(await waiting, []);
    redis.resume();
    await broker.close();
  });

  it('gives up a server that hangs, and brings what that server then gave to nobody', async () => {
    const { broker } = redisBrokerAt(redis.url, quick);
    const consumer = await broker.consume({ streams: ['half-open'], group: 'g', consumer: 'c' });
    assert.deepEqual(await consumer.read(atOnce), []);
    await broker.publish([entry('half-open', '1'), entry('half-open', '2')]);
    redis.pause();
    const startedAt = performance.now();
    await assert.rejects(consumer.read({ ...atOnce, blockMs: 100 }), UnavailableError);
    assert.ok(performance.now() - startedAt < 2_000, 'bounded by the block time and the command timeout');
    const publishing = assert.rejects(broker.publish([entry('half-open', 'perhaps')]), UnavailableError);
    await publishing;
    redis.resume();
    const pending = () => broker.inspect('half-open', 'g').then((state) => state.pending);
    while ((await once(pending)) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const seen = new Set(bodiesOf(await once(() => consumer.read(atOnce))));
    for (const text of bodiesOf(await consumer.read(atOnce))) seen.add(text);
    assert.ok(seen.has('1') && seen.has('2'));
    await broker.close();
  });

  it('finds by its sweep what an answer that was lost had brought', async () => {
    const { broker } = redisBrokerAt(redis.url);
    const consumer = await broker.consume({ streams: ['lost-answer'], group: 'g', consumer: 'c' });
    assert.deepEqual(await consumer.read(atOnce), []);
    await broker.publish([entry('lost-answer', '1'), entry('lost-answer', '2')]);
    await redis.cli('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'lost-answer', '>');
    const { deliveries } = await consumer.reclaim(10, 3_600_000);
    assert.deepEqual(bodiesOf(deliveries), ['1', '2']);
    assert.ok(deliveries.every(({ attempt, suspect }) => attempt === 1 && !suspect));
    assert.deepEqual((await consumer.reclaim(10, 3_600_000)).deliveries, []);
    await broker.close();
  });

  it('finds what a server that has not noticed the loss still gives to the old connection', async () => {
    const clients = new Set<Socket>();
    const port = await frontFor(redis.port, clients);
    const { broker } = redisBrokerAt(`redis://127.0.0.1:${port}`);
    const direct = redisBrokerAt(redis.url).broker;
    const consumer = await broker.consume({ streams: ['unnoticed'], group: 'g', consumer: 'c' });
    const reading = consumer.read({ ...atOnce, blockMs: 20_000 });
    while (!String(await redis.cli('INFO', 'clients')).includes('blocked_clients:1'));
    for (const client of clients) client.destroy();
    await assert.rejects(reading, UnavailableError);
    assert.deepEqual(await once(() => consumer.read(atOnce)), []);
    await direct.publish([entry('unnoticed', 'x')]);
    assert.equal((await direct.inspect('unnoticed', 'g')).pending, 1);
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), ['x']);
    await broker.close();
    await direct.close();
  });

  it('waits for a server that is still loading, and says so', async () => {
    // Slow to load, and answering meanwhile.
    const args = ['--key-load-delay', '3000', '--loading-process-events-interval-bytes', '1024'];
    const loading = await startRedis({ appendonly: true, args });
    await loading.cli('DEBUG', 'POPULATE', 200, 'key', 100);
    await loading.cli('BGREWRITEAOF');
    while (/rewrite_in_progress:1/.test(String(await loading.cli('INFO', 'persistence')))) await loading.cli('PING');
    const { broker } = redisBrokerAt(loading.url, { ...quick, commandTimeoutMs: 5_000 });
    await broker.publish([entry('kept', 'x')]);
    await loading.kill();
    const restarting = loading.restart();
    const codes = new Set<string>();
    for (let length = 0; length === 0; ) {
      length = await broker.length('kept').catch((error) => {
        assert.ok(error instanceof UnavailableError);
        codes.add(error.code);
        return 0;
      });
    }
    await restarting;
    assert.ok(codes.has('redis_loading'), [...codes].join());
    await broker.close();
    await loading.stop();
  });

  it('survives that all its connections are killed, over and over', async () => {
    const { broker } = redisBrokerAt(redis.url);
    const consumer = await broker.consume({ streams: ['cut'], group: 'g', consumer: 'c' });
    const texts = Array.from({ length: 30 }, (_, index) => `${index}`);
    const reading = readAll(consumer, texts);
    for (const [index, text] of texts.entries()) {
      if (index % 10 === 5) await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await once(() => broker.publish([entry('cut', text)]));
    }
    assert.deepEqual([...(await reading).keys()].sort(), [...texts].sort());
    assert.equal((await broker.inspect('cut', 'g')).pending, 0);
    await broker.close();
  });

  it('takes a forced end of its wait for an interruption', async () => {
    const { broker } = redisBrokerAt(redis.url);
    const consumer = await broker.consume({ streams: ['forced'], group: 'g', consumer: 'c' });
    const reading = consumer.read({ ...atOnce, blockMs: 30_000 });
    let unblocked = 0;
    while (unblocked === 0) {
      const clients = String(await redis.cli('CLIENT', 'LIST'));
      const blocked = clients
        .split('\n')
        .find((line) => line.includes('name=domaind:g') && line.includes('cmd=xreadgroup'));
      const id = /id=(\d+)/.exec(blocked ?? '')?.[1];
      if (id !== undefined) unblocked = Number(await redis.cli('CLIENT', 'UNBLOCK', id, 'ERROR'));
    }
    await assert.rejects(reading, UnavailableError);
    await broker.publish([entry('forced', 'x')]);
    assert.deepEqual(bodiesOf(await once(() => consumer.read({ ...atOnce, blockMs: 1_000 }))), ['x']);
    await broker.close();
  });
});
