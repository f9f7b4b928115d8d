import type { BrokerConfig } from '../config/config.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { createRedisConnection } from '../connection/redis.ts';
import type { Clock, Random } from '../runtime/clock.ts';
import type { BrokerNotice } from './broker.ts';

export type RedisBrokerConfig = Extract<BrokerConfig, { readonly uri: string }>;

export interface RedisBrokerDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Told of losses and returns of the connections, once an outage, and of groups that had to be made again. */
  readonly notice: (notice: BrokerNotice) => void;
}

/** Connections whose losses are told as one: the first that is lost, and the last that comes back. */
export function createConnections(config: RedisBrokerConfig, { clock, random, notice }: RedisBrokerDeps) {
  const { name, uri, tls, connectTimeoutMs, commandTimeoutMs } = config;
  const lost = new Set<symbol>();
  return (clientName: string): RedisConnection => {
    const mine = Symbol(clientName);
    const found = () => {
      if (lost.delete(mine) && lost.size === 0) notice({ kind: 'connection_ready', error: null });
    };
    const connection = createRedisConnection(
      { name: `broker "${name}"`, uri, tls, connectTimeoutMs, commandTimeoutMs, clientName },
      {
        clock,
        random,
        onRestored: found,
        onLost(error) {
          if (lost.size === 0) notice({ kind: 'connection_lost', error });
          lost.add(mine);
        },
      },
    );
    return {
      ...connection,
      close() {
        connection.close();
        lost.delete(mine);
      },
    };
  };
}
