import type { Broker, Consumer, Delivery, Outgoing, PublishResult } from '../../src/broker/broker.ts';
import type { PartitionBroker, Partitions } from '../../src/broker/partition.ts';
import type { Observer } from './observer.ts';
import type { Process } from './process.ts';

/** The broker as one process reaches it: every call goes over a wire that may fail. */
export function wireBroker(server: Broker, process: Process, observer: Observer): Broker {
  const { partitions } = server;

  /** In order, each by itself: one that is to be refused holds back those behind it with its key. */
  async function append(entries: readonly Outgoing[]): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = [];
    const held = new Set<string>();
    for (const entry of entries) {
      if (entry.key !== null && held.has(entry.key)) {
        results.push({ kind: 'held' });
        continue;
      }
      const refusal = observer.refusalOf(entry);
      if (refusal !== null) {
        if (entry.key !== null) held.add(entry.key);
        results.push({ kind: 'refused', failure: refusal });
        continue;
      }
      observer.published(entry);
      results.push(...(await server.publish([entry])));
    }
    return results;
  }

  return {
    ...server,
    publish(entries) {
      observer.publishing(process);
      return process.ask('broker.publish', 'broker', () => append(entries));
    },
    consume: async (options) =>
      wireConsumer(await process.ask('broker.consume', 'broker', () => server.consume(options)), process),
    partitions: partitions === null ? null : wirePartitionBroker(partitions, process, observer),
  };
}

/** Aborts with `signal`, and soon after the death of the process: a server notices that nobody is there any more. */
function watched(process: Process, signal: AbortSignal): { readonly signal: AbortSignal; readonly end: () => void } {
  const ended = new AbortController();
  const end = () => ended.abort();
  signal.addEventListener('abort', end, { once: true });
  const forget = process.onDeath(end);
  return {
    signal: ended.signal,
    end() {
      signal.removeEventListener('abort', end);
      forget();
    },
  };
}

function wireConsumer(server: Consumer, process: Process): Consumer {
  /** What was delivered and did not arrive: brought by the next read, as the adapter of Redis does. */
  let missing: Delivery[] = [];
  const onLost = (deliveries: readonly Delivery[]) => void missing.push(...deliveries);

  async function recovered(): Promise<readonly Delivery[]> {
    const sought = missing;
    missing = [];
    const suspects = new Set(sought.filter(({ suspect }) => suspect).map(({ id }) => id));
    return (await server.retake(sought)).map((each) => ({ ...each, suspect: suspects.has(each.id) }));
  }

  return {
    ...server,
    async read({ count, blockMs, acks, signal }) {
      const watch = watched(process, signal);
      const act = async () => {
        if (acks.length > 0) await server.settle(acks.map((delivery) => ({ kind: 'ack', delivery }) as const));
        const before = await recovered();
        if (before.length > 0) return before;
        return server.read({ count, blockMs, acks: [], signal: watch.signal });
      };
      try {
        return await process.ask('consumer.read', 'broker', act, { waitMs: blockMs, onLost });
      } finally {
        watch.end();
      }
    },
    settle: (settlements) => process.ask('consumer.settle', 'broker', () => server.settle(settlements)),
    recordStart: (delivery) => process.ask('consumer.recordStart', 'broker', () => server.recordStart(delivery)),
    retake: (held) => process.ask('consumer.retake', 'broker', () => server.retake(held)),
    heartbeat: (held) => process.ask('consumer.heartbeat', 'broker', () => server.heartbeat(held)),
    takeGivenBack: (count, minIdleMs) =>
      process.ask('consumer.takeGivenBack', 'broker', () => server.takeGivenBack(count, minIdleMs), { onLost }),
    reclaim: (count, minIdleMs) =>
      process.ask('consumer.reclaim', 'broker', () => server.reclaim(count, minIdleMs), {
        onLost: ({ deliveries }) => onLost(deliveries),
      }),
    leave: () => process.ask('consumer.leave', 'broker', () => server.leave()),
  };
}

const wirePartitionBroker = (server: PartitionBroker, process: Process, observer: Observer): PartitionBroker => ({
  view: (options) => server.view(options),
  open: (options) => wirePartitions(server.open(options), process, observer, options),
});

function wirePartitions(
  server: Partitions,
  process: Process,
  { tenures }: Observer,
  { group, leaseTtlMs }: { readonly group: string; readonly leaseTtlMs: number },
): Partitions {
  const nameOf = (key: string) => `${group} ${key}`;
  const held = (key: string) => tenures.held(nameOf(key), process.name, leaseTtlMs);
  return {
    ...server,
    keys: (cursor) => process.ask('partitions.keys', 'broker', () => server.keys(cursor)),
    join: () => process.ask('partitions.join', 'broker', () => server.join()),
    leave: () => process.ask('partitions.leave', 'broker', () => server.leave()),
    acquire: (keys, limit) =>
      process.ask('partitions.acquire', 'broker', async () => {
        const taken = await server.acquire(keys, limit);
        for (const { lease } of taken) held(lease.key);
        return taken;
      }),
    renew: (leases) =>
      process.ask('partitions.renew', 'broker', async () => {
        const lost = await server.renew(leases);
        for (const lease of leases) if (!lost.includes(lease)) held(lease.key);
        return lost;
      }),
    release: (leases) =>
      process.ask('partitions.release', 'broker', async () => {
        await server.release(leases);
        for (const { key } of leases) tenures.released(nameOf(key), process.name);
      }),
    read: (requests) => process.ask('partitions.read', 'broker', () => server.read(requests)),
    settle: (settlements) => process.ask('partitions.settle', 'broker', () => server.settle(settlements)),
    recordStart: (delivery) => process.ask('partitions.recordStart', 'broker', () => server.recordStart(delivery)),
    retake: (deliveries) => process.ask('partitions.retake', 'broker', () => server.retake(deliveries)),
    gone: (deliveries) => process.ask('partitions.gone', 'broker', () => server.gone(deliveries)),
    reap: (leases, idleMs, groups) =>
      process.ask('partitions.reap', 'broker', () => server.reap(leases, idleMs, groups)),
    async hear(ms, signal) {
      const watch = watched(process, signal);
      try {
        return await process.ask('partitions.hear', 'broker', () => server.hear(ms, watch.signal), { waitMs: ms });
      } finally {
        watch.end();
      }
    },
  };
}
