import { blockedOf, keyInPartition, laneOf, partitionOf, replayOf } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Delivery } from './broker.ts';
import type { InlineGroup, InlinePending, InlineStream } from './inline-stream.ts';
import type { Blocked, Lease, PartitionHint, PartitionOptions, PartitionViewOptions } from './partition.ts';

/** What all groups and owners share of the partitions in memory. */
export interface InlineShared {
  readonly clock: Clock;
  /** Null where there is no such stream. */
  readonly known: (name: string) => InlineStream | null;
  readonly append: (stream: string, body: string) => void;
  readonly remove: (stream: string) => void;
  readonly indexes: Map<string, Set<string>>;
  /** By group and key. */
  readonly leases: Map<string, { readonly owner: string; readonly generation: number; until: Millis }>;
  readonly generations: Map<string, number>;
  /** By group: each owner, and when it was last heard of. */
  readonly owners: Map<string, Map<string, Millis>>;
  /** By the hash's name and the key. */
  readonly blocked: Map<string, Map<string, Blocked>>;
  /** Those who wait for hints. */
  readonly listeners: Set<(hint: PartitionHint & { readonly category: string }) => void>;
}

/** Where the lease of a key is kept. */
export const inGroup = (group: string, key: string): string => `${group} ${key}`;

/** The streams of a key and their lanes, each behind what is replayed of it to the group. */
export const streamsOf = ({ group, categories, laneSuffix }: PartitionViewOptions, key: string): readonly string[] =>
  plainStreamsOf({ categories, laneSuffix }, key).flatMap((stream) => [replayOf(stream, group), stream]);

/** The streams of a key and their lanes. */
export const plainStreamsOf = (
  { categories, laneSuffix }: Pick<PartitionViewOptions, 'categories' | 'laneSuffix'>,
  key: string,
): readonly string[] =>
  categories.flatMap((category) => {
    const stream = partitionOf(category, key);
    return laneSuffix === null ? [stream] : [stream, laneOf(stream, laneSuffix)];
  });

/** Tells all who wait that there is something in a key, or that it was given back. */
export function tellHint({ listeners }: InlineShared, category: string, key: string, freed: boolean): void {
  for (const listen of [...listeners]) listen({ category, key, freed });
}

/** What one owner of a group's partitions may do, by the leases it has. */
export type InlineHold = ReturnType<typeof createInlineHold>;

/** One owner's leases in memory. */
export function createInlineHold(options: PartitionOptions, shared: InlineShared) {
  const { group, owner, categories } = options;
  const { clock, known, leases } = shared;
  const nameOf = ({ key }: Lease) => inGroup(group, key);
  const tokenOf = ({ generation }: Lease) => `${owner}:${generation}`;
  const groupOn = (stream: string): InlineGroup | null => known(stream)?.existing(group) ?? null;
  const hashOf = (stream: string) =>
    blockedOf(categories.find((category) => keyInPartition(category, stream) !== null) ?? '', group);

  function leaseAt(name: string) {
    const lease = leases.get(name);
    return lease === undefined || lease.until <= clock.now() ? null : lease;
  }

  function holds(lease: Lease): boolean {
    const held = leaseAt(nameOf(lease));
    return held?.owner === owner && held.generation === lease.generation;
  }

  function deliver(pending: InlinePending, redelivered: boolean): Delivery {
    const { entry, stream, deliveries } = pending;
    const place = groupOn(stream);
    const history = place?.histories.get(entry.id) ?? [];
    pending.deliveries += 1;
    return {
      id: entry.id,
      stream,
      body: entry.body,
      bare: false,
      raw: null,
      attempt: history.length + 1,
      history,
      redelivered,
      suspect: redelivered && deliveries >= 1,
      crashes: place?.crashes.get(entry.id) ?? 0,
    };
  }

  function ours(lease: Lease, { stream, id }: Delivery): InlinePending | null {
    const pending = groupOn(stream)?.pending.get(id);
    return holds(lease) && pending?.consumer === tokenOf(lease) ? pending : null;
  }

  return { nameOf, tokenOf, groupOn, hashOf, leaseAt, holds, deliver, ours };
}
