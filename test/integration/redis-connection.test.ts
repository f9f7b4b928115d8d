import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { TlsConfig } from '../../src/config/config.ts';
import type { RedisConnection } from '../../src/connection/redis.ts';
import { createRedisConnection } from '../../src/connection/redis.ts';
import { RedisReplyError } from '../../src/connection/reply-of-redis.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import { once } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const yes = () => true;
const no = () => false;
const certificate = fileURLToPath(new URL('../fixtures/tls/server-cert.pem', import.meta.url));
const key = fileURLToPath(new URL('../fixtures/tls/server-key.pem', import.meta.url));

describe('A connection to Redis', () => {
  let redis: RedisServer;
  const open: (RedisConnection | Server)[] = [];
  before(async () => {
    redis = await startRedis();
  });
  after(async () => {
    for (const each of open) each.close();
    await redis.stop();
  });

  function connected(uri: string, tls: TlsConfig | null = null) {
    const told: string[] = [];
    const connection = createRedisConnection(
      { name: 'broker "default"', uri, tls, connectTimeoutMs: 1_000, commandTimeoutMs: 300, clientName: 'tried' },
      {
        clock: systemClock,
        random: systemRandom,
        onLost: (error) => told.push(`lost: ${error.message}`),
        onRestored: () => told.push('restored'),
      },
    );
    open.push(connection);
    return { connection, told };
  }

  /** A server in front of Redis that hands each connection to `serve`. */
  async function inFront(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push(server);
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
  const pass = (socket: Socket): void => {
    const behind = connect({ host: '127.0.0.1', port: redis.port });
    socket.on('error', () => behind.destroy()).pipe(behind);
    behind.on('error', () => socket.destroy()).pipe(socket);
  };

  it('answers commands in their order, each answer or error in its place', async () => {
    const { connection } = connected(redis.url);
    const answers = await connection.askAll([
      ['SET', 'k', 'v'],
      ['LPUSH', 'k', 1],
      ['GET', 'k'],
      ['GET', 'none'],
    ]);
    assert.deepEqual(
      answers.map((answer) => (answer instanceof RedisReplyError ? answer.code : answer)),
      ['OK', 'WRONGTYPE', 'v', null],
    );
    assert.deepEqual(await connection.ask(['GET', 'k'], { bytes: true }), Buffer.from('v'));
    await assert.rejects(connection.ask(['LPUSH', 'k', 1]), RedisReplyError);
    assert.equal(connection.clientId(), Number(await connection.ask(['CLIENT', 'ID'])));
  });

  it('goes to its own database, on every connection it makes', async () => {
    const { connection } = connected(`${redis.url}/5`);
    await connection.ask(['SET', 'where', 'five']);
    connection.drop();
    assert.equal(await once(() => connection.ask(['GET', 'where'])), 'five');
    assert.equal(await redis.cli('GET', 'where'), null);
  });

  it('sends nothing twice when its answer was lost', async () => {
    let cut = false;
    const port = await inFront(
      createServer((socket) => {
        const behind = connect({ host: '127.0.0.1', port: redis.port });
        socket.on('error', () => behind.destroy()).pipe(behind);
        behind.on('data', (answer) => (cut ? socket.destroy() : socket.write(answer)));
      }),
    );
    const { connection, told } = connected(`redis://127.0.0.1:${port}`);
    await connection.ready();
    cut = true;
    const outcome = connection.ask(['INCR', 'sent']);
    await assert.rejects(
      outcome,
      (error) => error instanceof UnavailableError && error.code === 'redis_connection_lost',
    );
    cut = false;
    await once(() => connection.ask(['PING']));
    assert.equal(await redis.cli('GET', 'sent'), '1');
    assert.deepEqual(told, ['lost: the server closed the connection', 'restored']);
  });

  it('does not fail over and over on a socket whose end was told, but not yet its close', async () => {
    const sockets = new Set<Socket>();
    const port = await inFront(createServer((socket) => pass(socket) ?? sockets.add(socket)));
    const { connection } = connected(`redis://127.0.0.1:${port}`);
    for (let turns = 0; turns < 8; turns += 1) {
      await once(() => connection.ask(['PING']));
      for (const socket of sockets) socket.end();
      sockets.clear();
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      let failures = 0;
      // Without a pause: as long as nothing but promises is waited for, no event of the socket can come through.
      while (failures < 100 && !(await connection.ask(['PING']).then(yes, no))) failures += 1;
      assert.ok(failures < 10, `${failures} failures after ${turns} turns`);
    }
  });

  it('gives up a server that accepts and says nothing', async () => {
    const port = await inFront(createServer(() => undefined));
    const { connection } = connected(`redis://127.0.0.1:${port}`);
    await assert.rejects(connection.ask(['PING']), UnavailableError);
  });

  it('destroys a socket whose answer takes too long, and comes back on another', async () => {
    const { connection, told } = connected(redis.url);
    await connection.ready();
    redis.pause();
    const startedAt = performance.now();
    const answer = connection.ask(['PING']);
    await assert.rejects(answer, (error) => error instanceof UnavailableError && error.code === 'redis_timeout');
    assert.ok(performance.now() - startedAt < 900);
    redis.resume();
    assert.equal(await once(() => connection.ask(['PING'])), 'PONG');
    assert.equal(told.length, 2);
  });

  it('says why there is no server', async () => {
    const gone = await startRedis();
    await gone.stop();
    const { connection } = connected(gone.url);
    await assert.rejects(
      connection.ask(['PING']),
      (error) => error instanceof UnavailableError && /ECONNREFUSED/.test(error.message),
    );
  });

  it('ends what is under way when it is closed, and takes nothing more', async () => {
    const { connection, told } = connected(redis.url);
    await connection.ready();
    const waiting = assert.rejects(connection.ask(['BLPOP', 'never', 60], { boundMs: 60_000 }), UnavailableError);
    connection.close();
    connection.close();
    await waiting;
    await assert.rejects(
      connection.ask(['PING']),
      (error) => error instanceof UnavailableError && error.code === 'redis_closed',
    );
    assert.deepEqual(told, []);
  });

  it('speaks TLS to a server whose certificate is trusted, and to no other', async () => {
    const options = { cert: readFileSync(certificate), key: readFileSync(key) };
    const port = await inFront(createTlsServer(options, (socket) => pass(socket)));
    const uri = `rediss://127.0.0.1:${port}`;
    const system: TlsConfig = { caFile: null, certFile: null, keyFile: null, insecureSkipVerify: false };
    const trusting = connected(uri, { ...system, caFile: certificate });
    assert.equal(await trusting.connection.ask(['PING']), 'PONG');
    const careless = connected(uri, { ...system, insecureSkipVerify: true });
    assert.equal(await careless.connection.ask(['PING']), 'PONG');
    const strict = connected(uri, system);
    await assert.rejects(
      strict.connection.ask(['PING']),
      (error) => error instanceof MisconfiguredError && error.code === 'redis_tls' && /self.signed/.test(error.message),
    );
    const missing = { ...system, caFile: '/nowhere/ca.pem' };
    assert.throws(
      () => connected(uri, missing),
      (error) => error instanceof MisconfiguredError && /\/nowhere\/ca\.pem/.test(error.message),
    );
  });
});
