import type { Broker, BrokerNotice, Delivery, ReadRequest } from '../../src/broker/broker.ts';
import { createRedisBroker } from '../../src/broker/redis-broker.ts';
import type { RedisBrokerConfig } from '../../src/broker/redis-connections.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';

export interface TriedBroker {
  readonly broker: Broker;
  /** All it has told so far. */
  readonly notices: readonly BrokerNotice[];
}

/** A Redis broker on the server at `uri`, quick to give up unless told otherwise. */
export function redisBrokerAt(uri: string, settings: Partial<RedisBrokerConfig> = {}): TriedBroker {
  const notices: BrokerNotice[] = [];
  const config: RedisBrokerConfig = {
    provider: 'redis',
    name: 'default',
    uri,
    tls: null,
    connectTimeoutMs: 2_000,
    commandTimeoutMs: 2_000,
    maxConnections: null,
    hashTag: false,
    ...settings,
  };
  const notice = (each: BrokerNotice) => notices.push(each);
  return { broker: createRedisBroker(config, { clock: systemClock, random: systemRandom, notice }), notices };
}

const never = new AbortController().signal;

/** A read that returns at once. */
export const atOnce: ReadRequest = { count: 100, blockMs: 0, acks: [], signal: never };

export const entry = (stream: string, body: string, key: string | null = null) => ({ stream, body, key });

export const bodiesOf = (deliveries: readonly Delivery[]): readonly string[] => deliveries.map(({ body }) => body);

/** Repeats `call` for as long as it throws UnavailableError, as the loops of the daemon do. */
export async function once<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
