import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PublishWait } from '../../src/broker/broker.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { configOf } from '../support/config-folder.ts';
import { entry, once, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { startRelays } from '../support/relays.ts';
import { until } from '../support/until.ts';

const wait: PublishWait = { replicas: 1, timeoutMs: 5_000 };
const short: PublishWait = { ...wait, timeoutMs: 200 };

describe('publishing to a Redis with a replica', () => {
  let primary: RedisServer;
  let replica: RedisServer;
  const closing: (() => Promise<void>)[] = [];

  const inStep = () =>
    until('the replica to follow', async () => {
      const info = String(await primary.cli('INFO', 'replication'));
      return /slave0:.*state=online.*lag=[01]\r/.test(info) ? true : null;
    });
  const broker = () => {
    const tried = redisBrokerAt(primary.url, { commandTimeoutMs: 10_000 });
    closing.push(() => tried.broker.close());
    return tried.broker;
  };

  before(async () => {
    primary = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] });
    replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
    await inStep();
  });
  after(async () => {
    for (const close of closing) await close();
    await replica?.stop();
    await primary?.stop();
  });

  it('counts as published once the replica has it', async () => {
    const [result] = await broker().publish([entry('kept', '{}')], wait);
    assert.equal(result?.kind, 'confirmed');
    assert.equal(await replica.cli('XLEN', 'kept'), 1);
  });

  it('does not count while the replica does not answer, and adds nothing more to the stream until it does', async () => {
    const publisher = broker();
    const publish = (limit: PublishWait) => publisher.publish([entry('waiting', '{}')], limit);
    await publish(wait);
    replica.pause();
    try {
      for (let tries = 0; tries < 3; tries += 1) {
        await assert.rejects(
          publish(short),
          (error) => error instanceof UnavailableError && error.code === 'redis_not_replicated',
        );
      }
      assert.equal(await primary.cli('XLEN', 'waiting'), 2);
    } finally {
      replica.resume();
    }
    await once(() => publish(wait));
    assert.equal(await primary.cli('XLEN', 'waiting'), 3);
  });

  it('makes those who wait for no replica wait for nothing', async () => {
    const publisher = broker();
    await publisher.publish([entry('quick', '{}')], wait);
    replica.pause();
    try {
      const slow = publisher.publish([entry('quick', '{}')], { ...wait, timeoutMs: 2_000 }).catch(() => 'slow');
      const quick = publisher.publish([entry('other', '{}')]);
      assert.notEqual(await Promise.race([slow, quick]), 'slow');
      assert.equal(await slow, 'slow');
    } finally {
      replica.resume();
    }
  });

  it('still tells a refusal from an outage', async () => {
    await primary.cli('SET', 'no stream', 'x');
    const results = await broker().publish([entry('no stream', '{}'), entry('kept', '{}')], wait);
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['refused', 'confirmed'],
    );
  });

  it('counts nothing against the rows of an outbox that waits for it', async () => {
    await inStep();
    const config = await configOf(`
      name = "shop"
      enable_outbox = true
      [databases.default]
      provider = "memory"
      [brokers.default]
      provider = "redis"
      URI = "${primary.url}"
      [outbox]
      publish_wait_replicas = 1
      publish_wait_timeout_ms = 200
      [outbox.retry]
      max_attempts = 1
    `);
    const relays = await startRelays(config);
    const { outbox, write } = relays.providers.database('default');
    const message = {
      kind: 'EVENT',
      name: 'OrderPlaced',
      category: 'shop::order',
      id: '1',
      dataText: '{}',
      options: {},
    } as const;
    const pending = async () => (await outbox?.stats(null))?.pending;
    replica.pause();
    try {
      await write([message]);
      await until('two failures', async () => (relays.events.count('loop.failed') >= 2 ? true : null));
      assert.deepEqual([await pending(), relays.events.count('outbox.row_abandoned')], [1, 0]);
    } finally {
      replica.resume();
    }
    await until('the row is published', async () => ((await pending()) === 0 ? true : null));
    await relays.stop();
  });
});

describe('what endangers messages on a Redis', () => {
  async function adviceOn(
    args: readonly string[],
    appendonly: boolean,
    prepare: (server: RedisServer) => Promise<unknown> = async () => undefined,
  ): Promise<readonly string[]> {
    const server = await startRedis({ args, appendonly });
    const { broker } = redisBrokerAt(server.url);
    try {
      await prepare(server);
      return await broker.advise();
    } finally {
      await broker.close();
      await server.stop();
    }
  }

  it('is said: that it deletes keys, and that it keeps nothing', async () => {
    const [eviction, persistence, ...more] = await adviceOn(['--maxmemory-policy', 'allkeys-lru'], false);
    assert.match(eviction ?? '', /^broker "default": maxmemory-policy is allkeys-lru, .*: set it to noeviction$/);
    assert.match(
      persistence ?? '',
      /^broker "default": appendonly is no and there is no replica, .*: set appendonly to yes$/,
    );
    assert.deepEqual(more, []);
  });

  it('is not said where all is well, or where it may not be asked', async () => {
    assert.deepEqual(await adviceOn([], true), []);
    assert.deepEqual(await adviceOn([], false, ({ cli }) => cli('ACL', 'SETUSER', 'default', '-info')), []);
  });
});
