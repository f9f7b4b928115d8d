import { createRedisBroker } from '../../src/broker/redis-broker.ts';
import type { RedisBrokerConfig } from '../../src/broker/redis-connections.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { startRedis } from '../support/redis-server.ts';
import type { BrokerHarness } from './broker.conformance.ts';
import { describeBroker } from './broker.conformance.ts';

const capabilities = { groups: true, redelivery: true, deadLetters: true, persistence: true };

for (const hashTag of [false, true]) {
  const name = hashTag ? 'redis with hash tags' : 'redis';
  const start = async (): Promise<BrokerHarness> => {
    const redis = await startRedis({ shared: true });
    const config: RedisBrokerConfig = {
      provider: 'redis',
      name: 'redis',
      uri: redis.url,
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
