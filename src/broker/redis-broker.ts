import type { RedisConnection } from '../connection/redis.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import type { Millis } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { Broker, ConsumeOptions, GroupState } from './broker.ts';
import { lanesIn } from './lanes.ts';
import { adviceOf } from './redis-advice.ts';
import { createAsk } from './redis-ask.ts';
import type { RedisBrokerConfig, RedisBrokerDeps } from './redis-connections.ts';
import { createConnections } from './redis-connections.ts';
import { createRedisConsumer } from './redis-consumer.ts';
import { createGathered } from './redis-gathered.ts';
import { createHand } from './redis-hand.ts';
import { createRedisKeys } from './redis-keys.ts';
import type { Membership } from './redis-membership.ts';
import { ensureGroups } from './redis-membership.ts';
import { createRedisPartitionView } from './redis-partition-view.ts';
import { createRedisPartitions } from './redis-partitions.ts';
import { toStream } from './redis-publish.ts';
import { createPublishing } from './redis-publishing.ts';
import { inspect as inspectScript } from './redis-scripts.ts';
import { expire } from './redis-trim.ts';

/**
 * Redis Streams, from Redis 6.2 on. One connection for all commands and one for each consumer, which blocks in its reads.
 * At least once: what was published may be twice on its stream, what was delivered may be delivered again; neither is lost
 * while Redis keeps its data.
 */
export function createRedisBroker(config: RedisBrokerConfig, deps: RedisBrokerDeps): Broker {
  const { name, commandTimeoutMs, maxConnections, hashTag } = config;
  const { clock, notice } = deps;
  const connect = createConnections(config, deps);
  const commands = connect('domaind');
  const ask = createAsk(commands, name);
  const gathered = createGathered(ask);
  const keys = createRedisKeys(hashTag);
  const readers = new Set<RedisConnection>();
  const publishing = createPublishing(name, {
    ask,
    keys,
    appending: toStream,
    connect: () => connect('domaind:publish'),
  });

  function openReader(label: string): RedisConnection {
    if (maxConnections !== null && readers.size + publishing.connections() + 2 > maxConnections)
      throw tooManyConnections(name, maxConnections);
    const reader = connect(label.replace(/[^\x21-\x7e]/g, '_'));
    readers.add(reader);
    return reader;
  }

  function closeReader(reader: RedisConnection): void {
    reader.close();
    readers.delete(reader);
  }

  const shared = { ask, keys, clock, commandTimeoutMs, notice, openReader, closeReader, name };

  async function consume(options: ConsumeOptions) {
    const { aside = [], group, consumer } = options;
    const lanes = lanesIn(options);
    const reader = openReader(`domaind:${group}`);
    const membership: Membership = {
      group,
      name: consumer,
      streams: [...lanes.flat(), ...aside],
      lanes,
      aside,
      keys,
      reader,
      asReader: createAsk(reader, name),
      ask,
      gathered,
      clock,
      commandTimeoutMs,
      notice,
      hand: createHand(),
      lost: [],
    };
    const joined = createRedisConsumer(membership, () => readers.delete(reader));
    let made = false;
    try {
      await ensureGroups(membership);
      made = true;
    } finally {
      if (!made) await joined.close();
    }
    return joined;
  }

  return {
    name,
    capabilities: { groups: true, redelivery: true, deadLetters: true, persistence: true, partitions: true },
    partitions: {
      open: (options) => createRedisPartitions(options, shared),
      view: (options) => createRedisPartitionView(options, shared),
    },
    publish: publishing.publish,
    consume,
    async inspect(stream, group): Promise<GroupState> {
      const [lag, unread, pending, oldest] = listOf(
        await ask.one(['EVAL', inspectScript, 1, keys.keyOf(stream), group]),
      );
      const known = numberOf(lag);
      return {
        // Redis may say 0 while there is something unread, and null after a deletion; never the reverse of both.
        lag: known === null || unread === null ? known : Math.max(1, known),
        lagMs: ageOf(textOf(unread)) ?? 0,
        pending: numberOf(pending) ?? 0,
        oldestPendingMs: ageOf(textOf(oldest)),
      };
    },
    length: async (stream) => numberOf(await ask.one(['XLEN', keys.keyOf(stream)])) ?? 0,
    expire: (stream, olderThanMs, limit) => expire(ask, keys.keyOf(stream), olderThanMs, limit),
    async ping() {
      await ask.one(['PING']);
    },
    advise: () => adviceOf(ask, name),
    async close() {
      publishing.close();
      for (const reader of readers) reader.close();
      readers.clear();
      commands.close();
    },
  };

  /** How long ago an entry was added. Its id begins with the server's time, which may be ahead of ours. */
  function ageOf(id: string | null): Millis | null {
    return id === null ? null : Math.max(0, clock.now() - Number(id.split('-')[0]));
  }
}

const tooManyConnections = (name: string, max: number) =>
  new MisconfiguredError(
    'redis_max_connections',
    `broker "${name}": max_connections = ${max} leaves no connection for another consumer, which needs one of its own; raise it`,
  );
