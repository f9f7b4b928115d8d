import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRedisBroker } from '../../src/broker/redis-broker.ts';
import type { RedisBrokerConfig } from '../../src/broker/redis-connections.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { startRedis } from '../support/redis-server.ts';
import type { BrokerHarness } from './broker.conformance.ts';
import { describeBroker } from './broker.conformance.ts';

const capabilities = { groups: true, redelivery: true, deadLetters: true, persistence: true, partitions: true };
const fileOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const cert = fileOf('test/fixtures/tls/server-cert.pem');
const key = fileOf('test/fixtures/tls/server-key.pem');

/** The command of docs/redis.md that makes the daemon's user, for a domain of the name that the suite gives its streams. */
function userOfTheDocs(): readonly string[] {
  const [line] = /^ACL SETUSER domaind .*$/m.exec(readFileSync(fileOf('docs/redis.md'), 'utf8')) ?? [];
  assert.ok(line, 'docs/redis.md says how to make a user of the least rights');
  return line.replaceAll('bookshelf', 'conformance').split(' ');
}

const trials = [
  { name: 'redis', hashTag: false, leastRights: false, tls: false },
  { name: 'redis with hash tags', hashTag: true, leastRights: false, tls: false },
  { name: 'redis with the least rights', hashTag: false, leastRights: true, tls: false },
  { name: 'redis with hash tags and the least rights, over TLS', hashTag: true, leastRights: true, tls: true },
];

for (const { name, hashTag, leastRights, tls } of trials) {
  const start = async (): Promise<BrokerHarness> => {
    const redis = await startRedis(tls ? { tls: { cert, key } } : { shared: true });
    if (leastRights) await redis.cli(...userOfTheDocs());
    const config: RedisBrokerConfig = {
      provider: 'redis',
      name: 'redis',
      uri: leastRights ? redis.url.replace(/\/\/(.*@)?/, '//domaind:a-password@') : redis.url,
      tls: tls ? { caFile: cert, certFile: null, keyFile: null, insecureSkipVerify: false } : null,
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
      async pass(ms) {
        await delay(ms);
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
