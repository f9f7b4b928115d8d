import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PublishResult } from '../../src/broker/broker.ts';
import { deadLettersOf } from '../../src/message/stream-name.ts';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import { atOnce, bodiesOf, entry, once, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const failure = { time: '2026-11-23T14:34:47.000000+00:00', consumer: 'c', error_type: 'Error', error_message: 'no' };
const kinds = (results: readonly PublishResult[]) => results.map(({ kind }) => kind);
const codeOf = (result: PublishResult | undefined) => (result?.kind === 'refused' ? result.failure.code : null);

describe('A Redis broker that is told no', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  it('refuses the entries of one stream and confirms the others', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await redis.cli('SET', 'not-a-stream', 'x');
    const results = await broker.publish([entry('a', '1'), entry('not-a-stream', '2'), entry('a', '3')]);
    assert.deepEqual(kinds(results), ['confirmed', 'refused', 'confirmed']);
    assert.equal(codeOf(results[1]), 'WRONGTYPE');
    assert.equal(await broker.length('a'), 2);
    await broker.close();
  });

  it('holds what stands behind a refused entry of the same key', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await redis.cli('SET', 'wrong', 'x');
    const results = await broker.publish([
      entry('right', '1', 'k1'),
      entry('wrong', '2', 'k1'),
      entry('right', '3', 'k1'),
      entry('right', '4', 'k2'),
      entry('wrong', '5'),
      entry('right', '6'),
    ]);
    assert.deepEqual(kinds(results), ['confirmed', 'refused', 'held', 'confirmed', 'refused', 'confirmed']);
    const consumer = await broker.consume({ streams: ['right'], group: 'g', consumer: 'c' });
    assert.deepEqual(bodiesOf(await consumer.read(atOnce)), ['1', '4', '6']);
    await broker.close();
  });

  it('holds it also in the later chunks of a large batch', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await redis.cli('SET', 'wrong', 'x');
    const many = Array.from({ length: 1_100 }, (_, index) =>
      entry('many', `${index}`, index % 2 === 0 ? 'even' : 'odd'),
    );
    const results = await broker.publish([entry('wrong', 'first', 'even'), ...many]);
    assert.equal(kinds(results).filter((kind) => kind === 'held').length, 550);
    assert.equal(await broker.length('many'), 550);
    await broker.close();
  });

  it('refuses an entry that is larger than the server takes, and confirms its neighbours', async () => {
    await redis.cli('CONFIG', 'SET', 'proto-max-bulk-len', '1mb');
    const { broker } = redisBrokerAt(redis.url);
    const large = 'x'.repeat(1024 * 1024 + 1);
    const results = await broker.publish([entry('size', '1'), entry('size', large), entry('size', '3')]);
    assert.deepEqual(kinds(results), ['confirmed', 'refused', 'confirmed']);
    assert.equal(codeOf(results[1]), 'too_large');
    await broker.close();
  });

  it('finds the large one by itself where the server does not tell its limit', async () => {
    await redis.cli('CONFIG', 'SET', 'proto-max-bulk-len', '1mb');
    await redis.cli('ACL', 'SETUSER', 'plain', 'on', '>plain-pass', '~*', '+@all', '-config');
    const { broker } = redisBrokerAt(redis.url.replace('//', '//plain:plain-pass@'));
    const large = 'x'.repeat(1024 * 1024 + 1);
    const batch = ['1', '2', large, '4'].map((body) => entry('size-unknown', body));
    const results = await once(() => broker.publish(batch));
    assert.deepEqual(kinds(results), ['confirmed', 'confirmed', 'refused', 'confirmed']);
    const { failure: refusal } = results[2] as Extract<PublishResult, { readonly kind: 'refused' }>;
    assert.ok(refusal.message.length < 200);
    await broker.close();
  });

  it('refuses the entries of a stream that the user may not write, and confirms the others', async () => {
    await redis.cli('ACL', 'SETUSER', 'narrow', 'on', '>narrow-pass', '~allowed*', '+@all');
    const { broker } = redisBrokerAt(redis.url.replace('//', '//narrow:narrow-pass@'));
    const results = await broker.publish([
      entry('allowed', '1'),
      entry('forbidden', '2', 'k'),
      entry('allowed', '3'),
      entry('forbidden', '4', 'k'),
    ]);
    assert.deepEqual(kinds(results), ['confirmed', 'refused', 'confirmed', 'held']);
    assert.equal(codeOf(results[1]), 'NOPERM');
    await broker.close();
  });

  it('is misconfigured where the user may not append at all', async () => {
    await redis.cli('ACL', 'SETUSER', 'reader', 'on', '>reader-pass', '~*', '+@all', '-xadd');
    const { broker } = redisBrokerAt(redis.url.replace('//', '//reader:reader-pass@'));
    await assert.rejects(broker.publish([entry('a', '1')]), MisconfiguredError);
    await broker.close();
  });

  it('is misconfigured, not out of reach, with a wrong password or none, and never repeats it', async () => {
    const guarded = await startRedis({ args: ['--requirepass', 'right-pass'] });
    const wrong = redisBrokerAt(guarded.url.replace('//', '//default:s3cr3t-canary@'));
    const errors: unknown[] = [];
    for (const call of [() => wrong.broker.ping(), () => wrong.broker.publish([entry('a', '1')])]) {
      await assert.rejects(call, (error) => {
        errors.push(error);
        return error instanceof MisconfiguredError && error.code === 'redis_wrongpass';
      });
    }
    assert.deepEqual(
      wrong.notices.map(({ kind }) => kind),
      ['connection_lost'],
    );
    assert.doesNotMatch(everything([...errors, ...wrong.notices]), /s3cr3t-canary/);
    const none = redisBrokerAt(guarded.url);
    await assert.rejects(
      none.broker.ping(),
      (error) => error instanceof MisconfiguredError && error.code === 'redis_noauth',
    );
    const right = redisBrokerAt(guarded.url.replace('//', '//:right-pass@'));
    await right.broker.ping();
    for (const { broker } of [wrong, none, right]) await broker.close();
    await guarded.stop();
  });

  it('is misconfigured by a database that the server does not have', async () => {
    const { broker } = redisBrokerAt(`${redis.url}/99`);
    await assert.rejects(broker.publish([entry('a', '1')]), MisconfiguredError);
    await broker.close();
  });

  it('is misconfigured by a URI that cannot be read, without a piece of it', () => {
    for (const uri of ['redis://user:s3cr3t@', 'http://s3cr3t', 'redis://:%zzs3cr3t@host', 'redis://host/s3cr3t']) {
      assert.throws(
        () => redisBrokerAt(uri),
        (error) => error instanceof MisconfiguredError && !everything([error]).includes('s3cr3t'),
      );
    }
  });

  it('is misconfigured by a stream that is a key of another type', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await redis.cli('SET', 'another-type', 'x');
    const consume = broker.consume({ streams: ['another-type'], group: 'g', consumer: 'c' });
    await assert.rejects(consume, (error) => error instanceof MisconfiguredError && error.code === 'redis_wrongtype');
    await broker.close();
  });

  it('is misconfigured by more consumers than connections', async () => {
    const { broker } = redisBrokerAt(redis.url, { maxConnections: 2 });
    const first = await broker.consume({ streams: ['one'], group: 'g', consumer: 'c' });
    const second = broker.consume({ streams: ['two'], group: 'g', consumer: 'c' });
    await assert.rejects(
      second,
      (error) => error instanceof MisconfiguredError && /max_connections/.test(error.message),
    );
    await first.close();
    await (await broker.consume({ streams: ['two'], group: 'g', consumer: 'c' })).close();
    await broker.close();
  });

  it('keeps a dead letter pending while its stream cannot be written', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await broker.publish([entry('undead', 'x')]);
    await redis.cli('SET', deadLettersOf('undead'), 'not a stream');
    const consumer = await broker.consume({ streams: ['undead'], group: 'g', consumer: 'c' });
    const [delivery] = await consumer.read(atOnce);
    assert.ok(delivery);
    const letter = { kind: 'dead_letter', delivery, stream: deadLettersOf('undead'), body: '{}' } as const;
    await assert.rejects(consumer.settle([letter]), MisconfiguredError);
    assert.equal((await broker.inspect('undead', 'g')).pending, 1);
    await redis.cli('DEL', deadLettersOf('undead'));
    assert.deepEqual(await consumer.settle([letter]), []);
    assert.equal(await broker.length(deadLettersOf('undead')), 1);
    await broker.close();
  });

  it('makes the other settlements of a call though one fails', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await broker.publish(['1', '2'].map((text) => entry('partly', text)));
    await redis.cli('SET', deadLettersOf('partly'), 'not a stream');
    const consumer = await broker.consume({ streams: ['partly'], group: 'g', consumer: 'c' });
    const [one, two] = await consumer.read(atOnce);
    assert.ok(one && two);
    const settling = consumer.settle([
      { kind: 'dead_letter', delivery: one, stream: deadLettersOf('partly'), body: '{}' },
      { kind: 'ack', delivery: two },
    ]);
    await assert.rejects(settling, MisconfiguredError);
    assert.equal((await broker.inspect('partly', 'g')).pending, 1);
    await broker.close();
  });

  it('refuses nothing when Redis is out of memory, and still reads, retries and acknowledges', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await broker.publish(['1', '2', '3'].map((text) => entry('full', text)));
    const consumer = await broker.consume({ streams: ['full'], group: 'g', consumer: 'c' });
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1mb');
    const isFull = (error: unknown) => error instanceof UnavailableError && error.code === 'redis_oom';
    await assert.rejects(broker.publish([entry('full', '4')]), isFull);
    const [one, two, three] = await consumer.read(atOnce);
    assert.ok(one && two && three);
    await consumer.settle([{ kind: 'ack', delivery: one }]);
    await consumer.settle([{ kind: 'retry', delivery: two, failure }]);
    assert.equal((await consumer.retake([two]))[0]?.attempt, 2);
    await consumer.recordStart(two);
    await consumer.settle([{ kind: 'give_back', delivery: two }]);
    const letter = { kind: 'dead_letter', delivery: three, stream: deadLettersOf('full'), body: '{}' } as const;
    await assert.rejects(consumer.settle([letter]), isFull);
    const again = await broker.consume({ streams: ['full'], group: 'g', consumer: 'd' });
    assert.deepEqual(bodiesOf((await again.reclaim(10, 3_600_000)).deliveries), ['2']);
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    assert.deepEqual(await consumer.settle([letter]), []);
    assert.equal(await broker.length(deadLettersOf('full')), 1);
    assert.deepEqual(kinds(await broker.publish([entry('full', '4')])), ['confirmed']);
    await broker.close();
  });

  it('refuses nothing when its server has become a replica, and lets go of it', async () => {
    const { broker, notices } = redisBrokerAt(redis.url);
    await broker.ping();
    await redis.cli('REPLICAOF', '127.0.0.1', '1');
    await assert.rejects(broker.publish([entry('demoted', '1')]), UnavailableError);
    assert.deepEqual(
      notices.map(({ kind }) => kind),
      ['connection_lost'],
    );
    await redis.cli('REPLICAOF', 'NO', 'ONE');
    assert.deepEqual(kinds(await once(() => broker.publish([entry('demoted', '1')]))), ['confirmed']);
    await broker.close();
  });

  it('needs no script that the server still knows', async () => {
    const { broker } = redisBrokerAt(redis.url);
    await broker.publish([entry('scripts', '1')]);
    await redis.cli('SCRIPT', 'FLUSH');
    assert.deepEqual(kinds(await broker.publish([entry('scripts', '2')])), ['confirmed']);
    await broker.close();
  });
});

/** All that an error or a notice could be made to show. */
function everything(values: readonly unknown[]): string {
  const seen = new Set<unknown>();
  const shown = (value: unknown): string => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return String(value);
    seen.add(value);
    return Object.getOwnPropertyNames(value)
      .map((key) => `${key}: ${shown(Reflect.get(value, key))}`)
      .join('\n');
  };
  return values.map(shown).join('\n');
}
