import type { BrokerConfig } from '../config/config.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Broker, Outgoing, PublishResult } from './broker.ts';
import { createInlineConsumer } from './inline-consumer.ts';
import { createInlinePartitionBroker } from './inline-partition-broker.ts';
import type { InlineStream } from './inline-stream.ts';
import { createInlineStream } from './inline-stream.ts';

/**
 * A broker inside the process: for tests, for development, and for domains that need no other. It keeps every entry, and
 * forgets them all on exit. A read that waits is served as soon as something is published.
 */
export function createInlineBroker(config: Pick<BrokerConfig, 'name'>, deps: { readonly clock: Clock }): Broker {
  const { name } = config;
  const { clock } = deps;
  const streams = new Map<string, InlineStream>();
  const waiting = new Set<AbortController>();

  const stream = (streamName: string): InlineStream => {
    const existing = streams.get(streamName) ?? createInlineStream(clock);
    streams.set(streamName, existing);
    return existing;
  };

  function append(streamName: string, body: string): string {
    const id = stream(streamName).append(body);
    for (const wait of waiting) wait.abort();
    waiting.clear();
    return id;
  }

  async function appended(ms: Millis, signal: AbortSignal): Promise<void> {
    const wait = new AbortController();
    waiting.add(wait);
    const stop = () => wait.abort();
    signal.addEventListener('abort', stop, { once: true });
    await clock.sleep(ms, wait.signal);
    signal.removeEventListener('abort', stop);
    waiting.delete(wait);
  }

  const partitions = createInlinePartitionBroker({
    clock,
    append,
    known: (streamName) => streams.get(streamName) ?? null,
    remove: (streamName) => void streams.delete(streamName),
  });

  function publish(entry: Outgoing): PublishResult {
    partitions.announce(entry);
    const id = append(entry.stream, entry.body);
    partitions.tell(entry);
    return { kind: 'confirmed', id };
  }

  const ageOf = (addedAt: Millis | undefined): Millis | null =>
    addedAt === undefined ? null : Math.max(0, clock.now() - addedAt);

  return {
    name,
    capabilities: { groups: true, redelivery: true, deadLetters: true, persistence: false, partitions: true },
    partitions,
    publish: async (entries) => entries.map(publish),
    consume: async (options) => createInlineConsumer(options, { clock, stream, append, appended }),
    async inspect(streamName, group) {
      const known = streams.get(streamName);
      const entries = known?.entries ?? [];
      const { next = 0, pending = new Map() } = known?.existing(group) ?? {};
      const [oldest] = pending.values();
      return {
        lag: entries.length - next,
        lagMs: ageOf(entries[next]?.addedAt) ?? 0,
        pending: pending.size,
        oldestPendingMs: ageOf(oldest?.entry.addedAt),
      };
    },
    length: async (streamName) => streams.get(streamName)?.entries.length ?? 0,
    expire: async (streamName, olderThanMs, limit) =>
      streams.get(streamName)?.expire(clock.now() - olderThanMs, limit) ?? 0,
    ping: async () => undefined,
    advise: async () => [],
    close: async () => undefined,
  };
}
