import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { decode } from '../../src/message/codec.ts';
import { configOf } from '../support/config-folder.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { startRelays } from '../support/relays.ts';
import { until } from '../support/until.ts';

describe('an outbox whose broker is redis_pubsub', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis({ shared: true });
  });
  after(() => redis?.stop());

  it('puts messages on lists, in order, and says at the start what that means', async () => {
    const name = `shop${process.pid}`;
    const config = await configOf(`
      name = "${name}"
      enable_outbox = true
      [databases.default]
      provider = "memory"
      [brokers.default]
      provider = "redis_pubsub"
      URI = "${redis.url}"
    `);
    const relays = await startRelays(config);
    const { write } = relays.providers.database('default');
    const event = (n: number) =>
      ({
        kind: 'EVENT',
        name: 'OrderPlaced',
        category: `${name}::order`,
        id: 'a',
        dataText: `{"n":${n}}`,
        options: {},
      }) as const;
    await write([event(1), event(2)]);
    await write([event(3)]);
    const items = await until('three items', async () => {
      const found = (await redis.cli('LRANGE', `${name}::order`, 0, -1)) as readonly string[];
      return found.length === 3 ? found : null;
    });
    await relays.stop();
    await redis.cli('DEL', `${name}::order`);
    const messages = items.map((item) => JSON.parse(item) as readonly [string, unknown]);
    assert.equal(new Set(messages.map(([id]) => id)).size, 3);
    assert.deepEqual(
      messages.map(([, message]) => decode(JSON.stringify(message)).data['n']),
      [1, 2, 3],
    );
    const warnings = relays.events.all.flatMap((each) => (each.event === 'config.warned' ? [each.warning] : []));
    assert.match(warnings[0] ?? '', /redis_pubsub hands messages over at most once/);
  });
});
