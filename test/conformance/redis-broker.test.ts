import { createRedisBroker } from '../../src/broker/redis-broker.ts';
import type { RedisBrokerConfig } from '../../src/broker/redis-connections.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { startRedis } from '../support/redis-server.ts';
import type { BrokerHarness } from './broker.conformance.ts';
import { describeBroker } from './broker.conformance.ts';

const capabilities = { groups: true, redelivery: true, deadLetters: true, persistence: true };

/** All that the daemon's user of Redis needs for its streams, beside `~*` or the patterns of its keys. */
const privileges = [
  ...['+ping', '+client|id', '+client|setname', '+client|unblock', '+eval'],
  ...['+xadd', '+xlen', '+xrange', '+xtrim', '+xreadgroup', '+xack', '+xclaim', '+xautoclaim', '+xpending'],
  ...['+xinfo|groups', '+xinfo|consumers', '+xgroup|create', '+xgroup|delconsumer'],
  ...['+hset', '+hdel', '+hmget', '+hincrby'],
];

const trials = [
  { name: 'redis', hashTag: false, user: null },
  { name: 'redis with hash tags', hashTag: true, user: null },
  { name: 'redis with the least privileges', hashTag: false, user: 'least' },
];

for (const { name, hashTag, user } of trials) {
  const start = async (): Promise<BrokerHarness> => {
    const redis = await startRedis({ shared: true });
    if (user !== null) await redis.cli('ACL', 'SETUSER', user, 'reset', 'on', '>least-pass', '~*', ...privileges);
    const config: RedisBrokerConfig = {
      provider: 'redis',
      name: 'redis',
      uri: user === null ? redis.url : redis.url.replace(/\/\/(.*@)?/, `//${user}:least-pass@`),
      tls: null,
      connectTimeoutMs: 5_000,
      commandTimeoutMs: 5_000,
      maxConnections: null,
      hashTag,
    };
    const broker = createRedisBroker(config, {
      clock: systemClock,
      random: systemRandom,
      notice: () => undefined,
    });
    const keyOf = (stream: string) => (hashTag ? `{${stream}}` : stream);
    return {
      broker,
      async age(stream, group, ms) {
        const pending = await redis.cli('XPENDING', keyOf(stream), group, '-', '+', 10_000);
        for (const each of Array.isArray(pending) ? pending : []) {
          const [id, consumer, , deliveries] = each as readonly string[];
          const claim = ['XCLAIM', keyOf(stream), group, consumer ?? '', 0, id ?? '', 'IDLE', ms];
          await redis.cli(...claim, 'RETRYCOUNT', deliveries ?? 1, 'JUSTID');
        }
      },
      async append(stream, fields) {
        await redis.cli('XADD', keyOf(stream), '*', ...fields);
      },
      async end() {
        await broker.close();
        await redis.stop();
      },
    };
  };
  describeBroker({ name, capabilities, foreignEntries: true, start });
}
