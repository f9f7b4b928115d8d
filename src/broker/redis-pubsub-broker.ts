import { randomUUID } from 'node:crypto';
import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { numberOf } from '../connection/reply-of-redis.ts';
import type { Broker } from './broker.ts';
import { adviceOf } from './redis-advice.ts';
import { createAsk } from './redis-ask.ts';
import type { RedisBrokerConfig, RedisBrokerDeps } from './redis-connections.ts';
import { createConnections } from './redis-connections.ts';
import { createRedisKeys } from './redis-keys.ts';
import { createPublishing } from './redis-publishing.ts';
import { createRedisPubsubConsumer } from './redis-pubsub-consumer.ts';
import { push as pushScript } from './redis-scripts.ts';

/** An item carries its id, since a list has none to give: `["<uuid>", <message>]`. */
const toList = {
  script: pushScript,
  partitionedScript: null,
  wrap(body: string) {
    const id = randomUUID();
    return { text: `["${id}", ${body}]`, id };
  },
};

/**
 * Lists of Redis that every group reads at its own pace, by a position kept beside the list. At most once: to read is to
 * move the position, and nothing brings back what was read. For what can be missed, and for those who read such lists
 * already; everything else belongs on streams.
 */
export function createRedisPubsubBroker(config: RedisBrokerConfig, deps: RedisBrokerDeps): Broker {
  const { name, hashTag } = config;
  const { clock } = deps;
  const connect = createConnections(config, deps);
  const connection = connect('domaind');
  const ask = createAsk(connection, name);
  const keys = createRedisKeys(hashTag);
  const { keyOf } = keys;
  const publishing = createPublishing(name, {
    ask,
    keys,
    appending: toList,
    connect: () => connect('domaind:publish'),
  });
  const positionOf = (stream: string, group: string) => `position:${keyOf(stream)}:${group}`;
  const lengthOf = (stream: string): RedisCommand => ['LLEN', keyOf(stream)];

  return {
    name,
    capabilities: { groups: true, redelivery: false, deadLetters: false, persistence: true, partitions: false },
    partitions: null,
    publish: publishing.publish,
    async consume(options) {
      const push = async (stream: string, body: string) => {
        await ask.one(['RPUSH', keyOf(stream), toList.wrap(body).text]);
      };
      await ask.one(['PING']);
      return createRedisPubsubConsumer(options, { ask, clock, keyOf, positionOf, push });
    },
    async inspect(stream, group) {
      const commands: readonly RedisCommand[] = [lengthOf(stream), ['GET', positionOf(stream, group)]];
      const answers = await ask.all(commands);
      for (const [index, answer] of answers.entries()) {
        if (answer instanceof Error) throw ask.failed(answer, commands[index]);
      }
      const [length, position] = answers.map((answer) => numberOf(answer) ?? 0);
      const lag = Math.max(0, (length ?? 0) - (position ?? 0));
      return { lag, lagMs: lag === 0 ? 0 : null, pending: 0, oldestPendingMs: null };
    },
    length: async (stream) => numberOf(await ask.one(lengthOf(stream))) ?? 0,
    // A list does not know the age of its items.
    expire: async () => 0,
    async ping() {
      await ask.one(['PING']);
    },
    async advise() {
      const loose = `broker "${name}": redis_pubsub hands messages over at most once: what a handler fails on, or holds when its process dies, is gone`;
      return [loose, ...(await adviceOf(ask, name))];
    },
    async close() {
      publishing.close();
      connection.close();
    },
  };
}
