import { setTimeout as delay } from 'node:timers/promises';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { redisBrokerAt } from '../support/redis-broker.ts';
import { startRedis } from '../support/redis-server.ts';
import { describePartitions } from './partitions.conformance.ts';

describePartitions({
  name: 'inline',
  leaseTtlMs: 1_000,
  start: async () => {
    const clock = createManualClock(1_700_000_000_000);
    const broker = createInlineBroker({ name: 'inline' }, { clock });
    return { broker, pass: (ms) => clock.advance(ms), end: () => broker.close() };
  },
});

/** All that the daemon's user of Redis needs for partitions, beside what it needs for streams. */
const privileges = [
  ...['+ping', '+client|id', '+client|setname', '+client|unblock', '+eval', '+time'],
  ...['+xadd', '+xlen', '+xrange', '+xrevrange', '+xread', '+xtrim', '+xreadgroup', '+xack', '+xclaim', '+xpending'],
  ...['+xinfo|groups', '+xinfo|consumers', '+xinfo|stream', '+xgroup|create', '+xgroup|delconsumer'],
  ...[
    '+hset',
    '+hget',
    '+hdel',
    '+hmget',
    '+hgetall',
    '+hincrby',
    '+sadd',
    '+srem',
    '+sismember',
    '+smembers',
    '+sscan',
  ],
  ...['+get', '+set', '+incr', '+pexpire', '+persist', '+del', '+exists'],
  ...['+zadd', '+zrem', '+zcard', '+zremrangebyscore'],
];

for (const { name, hashTag, user } of [
  { name: 'redis', hashTag: false, user: null },
  { name: 'redis with hash tags', hashTag: true, user: null },
  { name: 'redis with the least privileges', hashTag: false, user: 'parted' },
]) {
  describePartitions({
    name,
    leaseTtlMs: 300,
    start: async () => {
      const redis = await startRedis({ shared: true });
      if (user !== null) await redis.cli('ACL', 'SETUSER', user, 'reset', 'on', '>least-pass', '~*', ...privileges);
      const uri = user === null ? redis.url : redis.url.replace(/\/\/(.*@)?/, `//${user}:least-pass@`);
      const { broker } = redisBrokerAt(uri, { hashTag });
      return {
        broker,
        pass: (ms) => delay(ms),
        async end() {
          await broker.close();
          await redis.stop();
        },
      };
    },
  });
}
