import type { RedisConnection } from '../connection/redis.ts';
import type { Broker } from './broker.ts';
import type { Ask } from './redis-ask.ts';
import { createAsk } from './redis-ask.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { Appending } from './redis-publish.ts';
import { createRedisPublish } from './redis-publish.ts';
import { createReplicatedAsk } from './redis-replicated.ts';

export interface PublishingDeps {
  /** The connection of those who wait for no replica. */
  readonly ask: Ask;
  readonly keys: RedisKeys;
  readonly appending: Appending;
  /** Opens the one of those who do. */
  readonly connect: () => RedisConnection;
}

export interface Publishing {
  readonly publish: Broker['publish'];
  /** How many connections it has of its own. */
  connections(): number;
  close(): void;
}

/** Publishing with and without a wait for replicas. `name` is the broker's, for error texts. */
export function createPublishing(name: string, { ask, keys, appending, connect }: PublishingDeps): Publishing {
  const publishAtOnce = createRedisPublish(ask, keys, appending);
  let waiting: {
    readonly connection: RedisConnection;
    readonly replicated: ReturnType<typeof createReplicatedAsk>;
  } | null = null;

  function open() {
    const connection = connect();
    waiting = { connection, replicated: createReplicatedAsk(createAsk(connection, name), name) };
    return waiting;
  }

  return {
    async publish(entries, wait = null) {
      if (wait === null) return publishAtOnce(entries);
      const { replicated } = waiting ?? open();
      return createRedisPublish(replicated(wait), keys, appending)(entries);
    },
    connections: () => (waiting === null ? 0 : 1),
    close() {
      waiting?.connection.close();
    },
  };
}
