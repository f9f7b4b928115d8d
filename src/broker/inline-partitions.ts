import { partitionsOf } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { createInlineSettling } from './inline-partition-settling.ts';
import type { InlineShared } from './inline-partition-shared.ts';
import { createInlineHold, inGroup, plainStreamsOf, streamsOf, tellHint } from './inline-partition-shared.ts';
import type {
  Lease,
  PartitionHint,
  PartitionOptions,
  PartitionReply,
  PartitionRequest,
  Partitions,
} from './partition.ts';

/** The partitions of one group in memory, by the same rules as in Redis. */
export function createInlinePartitions(options: PartitionOptions, shared: InlineShared): Partitions {
  const { group, owner, categories, leaseTtlMs } = options;
  const { clock, known, leases, generations, owners, indexes } = shared;
  const heard = new Map<string, PartitionHint>();
  let waiting: AbortController | null = null;
  const listener = ({ category, key, freed }: PartitionHint & { readonly category: string }) => {
    if (!categories.includes(category)) return;
    heard.set(key, { key, freed: freed || heard.get(key)?.freed === true });
    waiting?.abort();
  };
  shared.listeners.add(listener);
  const hold = createInlineHold(options, shared);
  const { nameOf, tokenOf, groupOn, leaseAt, holds, deliver, ours } = hold;
  const { settleOne, reapOne } = createInlineSettling(options, shared, hold);
  const all = (key: string) => streamsOf(options, key);

  function inherit(lease: Lease): boolean {
    let any = false;
    for (const stream of all(lease.key)) {
      for (const pending of groupOn(stream)?.pending.values() ?? []) {
        any = true;
        if (pending.consumer.startsWith(`${owner}:`) && pending.consumer !== tokenOf(lease)) pending.deliveries = 0;
        pending.consumer = tokenOf(lease);
      }
    }
    return any;
  }

  function readNew({ lease, count }: PartitionRequest): Pick<PartitionReply, 'deliveries' | 'more'> {
    for (const stream of all(lease.key)) {
      const there = known(stream);
      const place = there?.group(group);
      const fresh = there?.entries.slice(place?.next ?? 0, (place?.next ?? 0) + count) ?? [];
      if (place === undefined || fresh.length === 0) continue;
      place.next += fresh.length;
      const deliveries = fresh.map((entry) => {
        const pending = { entry, stream, consumer: tokenOf(lease), touchedAt: clock.monotonic(), deliveries: 0 };
        place.pending.set(entry.id, pending);
        return deliver(pending, false);
      });
      return { deliveries, more: fresh.length >= count ? [stream] : [] };
    }
    return { deliveries: [], more: [] };
  }

  function readOwn({ lease, count, from }: PartitionRequest): Pick<PartitionReply, 'deliveries' | 'more'> {
    const more: string[] = [];
    const deliveries = all(lease.key).flatMap((stream, index) => {
      const behind = from?.[index] ?? null;
      if (behind === null) return [];
      const pending = [...(groupOn(stream)?.pending.values() ?? [])];
      const start = behind === '-' ? 0 : pending.findIndex(({ entry }) => `(${entry.id}` === behind) + 1;
      const page = pending.slice(start, start + count);
      if (page.length >= count) more.push(stream);
      return page.map((each) => deliver(each, true));
    });
    return { deliveries, more };
  }

  return {
    streamsOf: all,
    keys: async () => ({
      keys: [...new Set(categories.flatMap((category) => [...(indexes.get(partitionsOf(category)) ?? [])]))],
      next: null,
    }),
    async join() {
      const living = owners.get(group) ?? new Map<string, Millis>();
      owners.set(group, living.set(owner, clock.now()));
      for (const [each, at] of living) if (at <= clock.now() - leaseTtlMs) living.delete(each);
      return living.size;
    },
    async leave() {
      owners.get(group)?.delete(owner);
    },
    async acquire(keys, limit = keys.length) {
      const taken: { readonly lease: Lease; readonly pending: boolean }[] = [];
      for (const key of keys) {
        if (taken.length >= limit) break;
        const name = inGroup(group, key);
        const held = leaseAt(name);
        if (held !== null && held.owner !== owner) continue;
        const generation = held?.generation ?? (generations.get(name) ?? 0) + 1;
        generations.set(name, generation);
        leases.set(name, { owner, generation, until: clock.now() + leaseTtlMs });
        const lease = { key, generation };
        taken.push({ lease, pending: inherit(lease) });
      }
      return taken;
    },
    async renew(held) {
      return held.filter((lease) => {
        const entry = leases.get(nameOf(lease));
        if (entry === undefined || !holds(lease)) return true;
        entry.until = clock.now() + leaseTtlMs;
        return false;
      });
    },
    async release(held) {
      for (const lease of held) {
        if (!holds(lease)) continue;
        const { key } = lease;
        for (const stream of all(key)) {
          for (const pending of groupOn(stream)?.pending.values() ?? []) {
            if (pending.consumer === tokenOf(lease)) pending.deliveries = 0;
          }
        }
        leases.delete(nameOf(lease));
        const indexed = categories.filter((category) => indexes.get(partitionsOf(category))?.has(key) === true);
        if (indexed.length === 0) generations.delete(nameOf(lease));
        for (const category of indexed) tellHint(shared, category, key, true);
      }
    },
    async read(requests) {
      return requests.map((request) => {
        const rest = { lease: request.lease, lost: [], made: [], error: null };
        if (!holds(request.lease)) return { ...rest, owned: false, deliveries: [], more: [] };
        return { ...rest, owned: true, ...(request.from === null ? readNew(request) : readOwn(request)) };
      });
    },
    settle: async (settlements) => settlements.filter((each) => !settleOne(each)).map(({ thing }) => thing.delivery),
    async recordStart({ lease, thing }) {
      const crashes = groupOn(thing.stream)?.crashes;
      if (ours(lease, thing) === null || crashes === undefined) return false;
      crashes.set(thing.id, (crashes.get(thing.id) ?? 0) + 1);
      return true;
    },
    async retake(held) {
      return held.flatMap(({ lease, thing }) => {
        const pending = ours(lease, thing);
        if (pending === null) return [];
        const fresh = deliver(pending, true);
        return [{ ...fresh, suspect: thing.suspect && fresh.crashes > 0 }];
      });
    },
    gone: async (held) => held.filter(({ lease, thing }) => ours(lease, thing) === null).map(({ thing }) => thing),
    reap: async (held, idleMs, groups) =>
      held.filter((lease) => reapOne(lease, idleMs, [...new Set([group, ...groups])])),
    trim: async (keys, keep) =>
      keys
        .flatMap((key) => plainStreamsOf(options, key))
        .reduce((removed, stream) => removed + (known(stream)?.trim(keep) ?? 0), 0),
    async hear(ms, signal) {
      if (heard.size === 0 && !signal.aborted) {
        waiting = new AbortController();
        const stop = () => waiting?.abort();
        signal.addEventListener('abort', stop, { once: true });
        await clock.sleep(ms, waiting.signal);
        signal.removeEventListener('abort', stop);
        waiting = null;
      }
      const hints = [...heard.values()];
      heard.clear();
      return hints;
    },
    async close() {
      shared.listeners.delete(listener);
    },
  };
}
