import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Outgoing } from '../../src/broker/broker.ts';
import { laneOf, partitionOf, partitionsOf } from '../../src/message/stream-name.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { createPartitionSubscription } from '../../src/subscription/partition-subscription.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { partitionSettings } from '../support/partition-settings.ts';
import type { TriedBroker } from '../support/redis-broker.ts';
import { redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const category = 'scale::order';
const index = partitionsOf(category);
const keys = 10_000;
/** As the daemon has them when nobody says otherwise. */
const partitioning = { leaseTtlMs: 15_000, heartbeatEveryMs: 3_000, pollEveryMs: 250, reapIdleMs: 3_600_000 };

const entryFor = (key: string, n: number, lane = false): Outgoing => {
  const stream = partitionOf(category, key);
  return {
    stream: lane ? laneOf(stream, 'backfill') : stream,
    body: `${key} ${n}`,
    key: null,
    partition: { index, key },
  };
};

describe('ten thousand live keys in one process', () => {
  let server: RedisServer;
  let publisher: TriedBroker;
  let tried: TriedBroker;
  before(async () => {
    server = await startRedis();
    publisher = redisBrokerAt(server.url);
    tried = redisBrokerAt(server.url, { commandTimeoutMs: 5_000 });
  });
  after(async () => {
    await tried?.broker.close();
    await publisher?.broker.close();
    await server?.stop();
  });

  const serverCpuMs = async () => {
    const info = String(await server.cli('INFO', 'cpu'));
    const of = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? Number.NaN);
    return (of('used_cpu_user') + of('used_cpu_sys')) * 1_000;
  };
  const publish = async (entries: readonly Outgoing[]) => {
    for (let from = 0; from < entries.length; from += 500)
      await publisher.broker.publish(entries.slice(from, from + 500));
  };
  const named = (n: number) => `k${n}`;
  const everyKey = (n: number, lane = false) => Array.from({ length: keys }, (_, key) => entryFor(named(key), n, lane));

  it('are handled in order on two connections and by a fixed number of loops, and cost little while idle', async () => {
    await publish([...everyKey(1), ...everyKey(2)]);
    const events = createEvents();
    const loops = new Set<string>();
    const loopOptions = loopOptionsOn(systemClock, events);
    const last = new Map<string, number>();
    const disorder: string[] = [];
    let handled = 0;
    const seen = new Map<string, () => void>();
    assert.ok(tried.broker.partitions);
    const stop = new AbortController();
    const service = createPartitionSubscription(
      {
        subscription: partitionSettings({ batchSize: 100, concurrency: 100, blockMs: 5_000 }),
        partitioning,
        group: 'scale.Billing',
        owner: 'one',
        categories: [category],
        laneSuffix: 'backfill',
        inOrder: true,
        groups: ['scale.Billing'],
      },
      {
        broker: tried.broker.partitions,
        name: 'Billing',
        open: ({ id, body }) => ({
          key: id,
          messageId: id,
          messageType: null,
          correlationId: null,
          raisedAt: null,
          async run() {
            const [key = '', n] = body.split(' ');
            if (Number(n) <= (last.get(key) ?? 0)) disorder.push(body);
            last.set(key, Number(n));
            handled += 1;
            seen.get(body)?.();
            return { kind: 'done', effect: 'ok', value: null };
          },
        }),
        clock: systemClock,
        random: systemRandom,
        emit: events.emit,
        loopOptions(name, boundMs) {
          loops.add(name);
          return loopOptions(name, boundMs);
        },
      },
    );
    const running = service.run({ soft: stop.signal, hard: new AbortController().signal });
    const waited = (count: number) => until(`${count} handled`, async () => (handled >= count ? true : null), 60_000);
    await waited(2 * keys);
    assert.deepEqual(disorder, []);

    // What comes once all is quiet: hints bring it at once, and no key is forgotten.
    await delay(500);
    const startedAt = performance.now();
    const sample = Array.from({ length: 200 }, (_, n) => entryFor(named(n * 50), 3));
    const arrivals = sample.map(({ body }) => new Promise<void>((resolve) => seen.set(body, resolve)));
    await publish(sample);
    await Promise.all(arrivals);
    const latencyMs = performance.now() - startedAt;
    await publish(everyKey(4, true));
    await waited(3 * keys + sample.length);

    const clients = String(await server.cli('CLIENT', 'LIST'))
      .split('\n')
      .filter((line) => line.includes('name=domaind'));
    const [cpuBefore, ownBefore, idleFrom] = [await serverCpuMs(), process.cpuUsage(), performance.now()];
    await delay(3_000);
    const idleMs = performance.now() - idleFrom;
    const own = process.cpuUsage(ownBefore);
    const idle = {
      server: ((await serverCpuMs()) - cpuBefore) / idleMs,
      own: (own.user + own.system) / 1_000 / idleMs,
    };
    stop.abort();
    await running;

    // Of the publisher one; of the consumer one for commands and one that waits.
    assert.equal(clients.length, 3, clients.join('\n'));
    assert.ok(loops.size <= 10, [...loops].join(', '));
    assert.ok(latencyMs < 2_000, `${latencyMs} ms for what came while idle`);
    assert.ok(idle.server < 0.1 && idle.own < 0.2, `of a core while idle: ${JSON.stringify(idle)}`);
    const owned = events.all.flatMap((each) => (each.event === 'partitions.changed' ? [each.owned] : []));
    assert.equal(Math.max(...owned), keys);
    assert.equal(events.count('loop.failed'), 0);
    assert.deepEqual(await server.cli('KEYS', '*:__lease__'), [], 'all were given back');
  });
});
