import type { Delivery } from '../broker/broker.ts';
import type { PartitionBroker } from '../broker/partition.ts';
import type { ServerConfig, SubscriptionConfig } from '../config/config.ts';
import type { Millis } from '../runtime/clock.ts';
import { UnavailableError } from '../runtime/errors.ts';
import { loop } from '../runtime/loop.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import type { Opened } from './opened.ts';
import type { PartitionSource } from './partition-source.ts';
import { createPartitionSource } from './partition-source.ts';
import type { SubscriptionDeps } from './subscription.ts';
import { createSubscription } from './subscription.ts';

/** How the partitions of a handler are consumed. */
export interface PartitionSubscriptionConfig {
  readonly subscription: SubscriptionConfig;
  readonly partitioning: ServerConfig['partitioning'];
  readonly group: string;
  /** Unique to this process and handler, without colons. */
  readonly owner: string;
  readonly categories: readonly string[];
  readonly laneSuffix: string | null;
  /** One message of a key after the other. Else since another handler needs it so. */
  readonly inOrder: boolean;
  /** Of all handlers that read these partitions. */
  readonly groups: readonly string[];
}

export interface PartitionSubscriptionDeps extends Omit<SubscriptionDeps, 'stream' | 'join'> {
  readonly broker: PartitionBroker;
}

const hearMs: Millis = 10_000;

/**
 * The subscription of a handler to partitions: the one loop of all subscriptions, fed by those keys that are this process's.
 * Beside it run two loops, however many keys there are: one that keeps the keys, one that listens to hints. On the soft stop
 * every key that is idle goes to others at once, and each of the rest as soon as its handler has ended.
 */
export function createPartitionSubscription(
  config: PartitionSubscriptionConfig,
  deps: PartitionSubscriptionDeps,
): Service {
  const { group, owner, categories, laneSuffix, partitioning } = config;
  const { broker, name, clock, emit, open, loopOptions } = deps;
  const partitions = broker.open({ group, owner, categories, laneSuffix, leaseTtlMs: partitioning.leaseTtlMs });
  const source = createPartitionSource(partitioning, { ...config, name, partitions, clock, emit });
  const begun = new AbortController();
  const part = `${name}:${categories.join('+')}`;
  const subscription = createSubscription(settingsFor(config), {
    ...deps,
    stream: categories.map((category) => `${category}:*`).join(', '),
    open: fencedBy(source, open),
    // Loops of the handler's own streams have its name.
    loopOptions: (loopName, boundMs) => loopOptions(loopName.replace(name, part), boundMs),
    async join() {
      // In this order: what comes between the two is heard.
      await source.hear(1, begun.signal);
      await source.look();
      begun.abort();
      return source.consumer;
    },
  });

  /** Keeps the keys until all is handed over. */
  async function keep({ soft }: Shutdown, closed: AbortSignal): Promise<void> {
    let drained = false;
    const step = async () => {
      await source.rest(partitioning.pollEveryMs, drained ? closed : soft);
      if (soft.aborted && !drained) {
        drained = true;
        await source.owner.drain();
      }
      await source.look();
      return 0;
    };
    await loop(step, closed, loopOptions(`${part}:keep`));
  }

  return {
    name: part,
    async run(shutdown) {
      const closed = new AbortController();
      const hear = async () => {
        if (!begun.signal.aborted) await clock.sleep(hearMs, AbortSignal.any([begun.signal, shutdown.soft]));
        else await source.hear(hearMs, shutdown.soft);
        return 0;
      };
      const beside = [keep(shutdown, closed.signal), loop(hear, shutdown.soft, loopOptions(`${part}:hear`))];
      await subscription.run(shutdown);
      closed.abort();
      await Promise.all(beside);
    },
  };
}

/** Leases tell what lives: heartbeats ask for what somebody else has settled, and what was left behind is in memory already. */
function settingsFor({ subscription, partitioning }: PartitionSubscriptionConfig): SubscriptionConfig {
  const { retry, reclaimEveryMs } = subscription;
  const { heartbeatEveryMs, pollEveryMs } = partitioning;
  const atOnce = { maxAttempts: 1, delayMs: null, factor: null, maxDelayMs: null, action: 'dead_letter' } as const;
  // What is no message has no place in the order: it never blocks those behind it.
  const rules = retry.onExhausted === 'halt' ? [['DecodeError', atOnce] as const] : [];
  return {
    ...subscription,
    heartbeatEveryMs,
    reclaimEveryMs: Math.min(pollEveryMs, reclaimEveryMs),
    retry: { ...retry, rules: new Map([...rules, ...retry.rules]) },
  };
}

/** A handler runs only while the key is this process's, and the key is not taken anew while it runs. */
const fencedBy =
  (source: PartitionSource, open: (delivery: Delivery) => Opened) =>
  (delivery: Delivery): Opened => {
    const opened = open(delivery);
    return {
      ...opened,
      async run(run) {
        if (!source.trusts(delivery)) {
          const why = `the partition of ${delivery.stream} is no longer owned`;
          return { kind: 'unavailable', error: new UnavailableError('partition_lost', why) };
        }
        const ended = source.running(delivery);
        try {
          return await opened.run(run);
        } finally {
          ended();
        }
      },
    };
  };
