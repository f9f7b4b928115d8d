import { blockedOf, deadLettersOf, keyInPartition, partitionsOf } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Outgoing } from './broker.ts';
import type { InlineShared } from './inline-partition-shared.ts';
import { inGroup, plainStreamsOf, streamsOf, tellHint } from './inline-partition-shared.ts';
import { createInlinePartitions } from './inline-partitions.ts';
import type { InlineStream } from './inline-stream.ts';
import { forget } from './inline-stream.ts';
import type { Blocked, PartitionBroker, PartitionView, PartitionViewOptions } from './partition.ts';

export interface InlinePartitionDeps {
  readonly clock: Clock;
  readonly known: (name: string) => InlineStream | null;
  readonly append: (stream: string, body: string) => void;
  readonly remove: (stream: string) => void;
}

/** Partitions in memory, and what publishing has to tell them. */
export function createInlinePartitionBroker(deps: InlinePartitionDeps): PartitionBroker & {
  /** Before an entry is appended: its key is in the index then. */
  announce(entry: Outgoing): void;
  /** After it: whoever waits for such keys is told. */
  tell(entry: Outgoing): void;
} {
  const shared: InlineShared = {
    ...deps,
    indexes: new Map(),
    leases: new Map(),
    generations: new Map(),
    owners: new Map(),
    blocked: new Map(),
    listeners: new Set(),
  };
  return {
    open: (options) => createInlinePartitions(options, shared),
    view: (options) => createInlineView(options, shared),
    announce({ partition }) {
      if (partition === undefined) return;
      const keys = shared.indexes.get(partition.index) ?? new Set<string>();
      shared.indexes.set(partition.index, keys.add(partition.key));
    },
    tell({ partition }) {
      if (partition === undefined) return;
      tellHint(shared, partition.index.slice(0, -partitionsOf('').length), partition.key, false);
    },
  };
}

function createInlineView(options: PartitionViewOptions, shared: InlineShared): PartitionView {
  const { group, categories } = options;
  const { clock, known, append, indexes, leases } = shared;
  const ageOf = (at: Millis | undefined): Millis | null => (at === undefined ? null : Math.max(0, clock.now() - at));
  const least = (times: readonly (Millis | undefined)[]): Millis | undefined => {
    const all = times.filter((each) => each !== undefined);
    return all.length === 0 ? undefined : Math.min(...all);
  };
  const blockedAt = (key: string): Blocked | null => {
    for (const category of categories) {
      const blocked = shared.blocked.get(blockedOf(category, group))?.get(key);
      if (blocked !== undefined) return blocked;
    }
    return null;
  };

  return {
    async states() {
      const keys = new Set(categories.flatMap((category) => [...(indexes.get(partitionsOf(category)) ?? [])]));
      return [...keys].map((key) => {
        const places = streamsOf(options, key).flatMap((name) => {
          const stream = known(name);
          const place = stream?.existing(group);
          return stream === null ? [] : [{ entries: stream.entries, next: place?.next ?? 0, pending: place?.pending }];
        });
        const lease = leases.get(inGroup(group, key));
        const held = lease !== undefined && lease.until > clock.now() ? lease : null;
        return {
          key,
          owner: held?.owner ?? null,
          generation: held?.generation ?? null,
          lag: places.reduce((sum, { entries, next }) => sum + entries.length - next, 0),
          lagMs: ageOf(least(places.map(({ entries, next }) => entries[next]?.addedAt))) ?? 0,
          pending: places.reduce((sum, { pending }) => sum + (pending?.size ?? 0), 0),
          oldestPendingMs: ageOf(least(places.map(({ pending }) => [...(pending?.values() ?? [])][0]?.entry.addedAt))),
          blocked: blockedAt(key),
        };
      });
    },
    async deadLetters() {
      const keys = categories.flatMap((category) => [...(indexes.get(partitionsOf(category)) ?? [])]);
      const streams = [...new Set(keys)].flatMap((key) => plainStreamsOf(options, key)).map(deadLettersOf);
      return streams.flatMap((stream) => {
        const count = known(stream)?.entries.length ?? 0;
        return count === 0 ? [] : [{ stream, count }];
      });
    },
    async blocking(key) {
      const blocked = blockedAt(key);
      const place = blocked === null ? null : known(blocked.stream)?.existing(group);
      const pending = blocked === null ? undefined : place?.pending.get(blocked.entryId);
      if (blocked === null || pending === undefined) return null;
      const history = place?.histories.get(blocked.entryId) ?? [];
      const { entry, stream } = pending;
      const facts = { bare: false, raw: null, redelivered: true, suspect: false };
      const crashes = place?.crashes.get(entry.id) ?? 0;
      const attempt = history.length + 1;
      return { blocked, delivery: { id: entry.id, stream, body: entry.body, ...facts, attempt, history, crashes } };
    },
    async unblock(key, blocked, to) {
      const { stream, entryId } = blocked;
      const category = categories.find((each) => keyInPartition(each, stream) !== null) ?? '';
      const hash = shared.blocked.get(blockedOf(category, group));
      if (hash?.get(key)?.entryId !== entryId) return false;
      const place = known(stream)?.existing(group);
      const pending = place?.pending.has(entryId) === true;
      if (pending && to !== null) append(to.stream, to.body);
      if (place) forget(place, entryId);
      hash.delete(key);
      tellHint(shared, category, key, false);
      return pending;
    },
  };
}
