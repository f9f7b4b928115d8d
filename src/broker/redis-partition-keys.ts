import {
  attemptsOf,
  blockedOf,
  deadLettersOf,
  generationOf,
  keyInPartition,
  laneOf,
  leaseOf,
  ownersOf,
  partitionOf,
  partitionsOf,
  replayOf,
  wakeOf,
} from '../message/stream-name.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { Lease, PartitionViewOptions } from './partition.ts';
import type { RedisKeys } from './redis-keys.ts';

/** The keys of Redis that have to do with the partitions of one group. */
export interface PartitionKeys {
  readonly indexes: readonly string[];
  readonly wakes: readonly string[];
  readonly owners: string;
  lease(key: string): string;
  generation(key: string, group?: string): string;
  leaseIn(key: string, group: string): string;
  /** The streams of a key and their lanes, without what is replayed. */
  streams(key: string): readonly string[];
  /** The same, each behind what is replayed of it to the group. */
  all(key: string): readonly string[];
  replay(stream: string, group?: string): string;
  /** Of a delivery of `stream`: the stream, its bookkeeping, the hash of keys that stand still, its dead letters. */
  around(stream: string): readonly string[];
  attempts(stream: string, group?: string): string;
  blocked(category: string): string;
  wake(category: string): string;
  categoryOf(stream: string): string;
  letters(stream: string): string;
  of(name: string): string;
}

/**
 * The names of a group hold no category, so with hash tags they are put behind the one they go with. Throws
 * MisconfiguredError for several categories with hash tags: no one slot has the streams of all of them.
 */
export function createPartitionKeys(
  { group, categories, laneSuffix }: PartitionViewOptions,
  keys: RedisKeys,
): PartitionKeys {
  const [first = ''] = categories;
  const { keyOf } = keys;
  const tagged = keyOf(first) !== first;
  if (tagged && categories.length > 1) {
    const why = `${group} keeps the order by key in several categories (${categories.join(', ')}), which hash_tag = true sets apart: turn it off, or make a handler of each`;
    throw new MisconfiguredError('partitions_apart', why);
  }
  const inGroup = (name: string) => (tagged ? `${keyOf(first)}:${name}` : name);
  const names = (key: string) =>
    categories.flatMap((category) => {
      const stream = partitionOf(category, key);
      return laneSuffix === null ? [stream] : [stream, laneOf(stream, laneSuffix)];
    });
  const categoryOf = (stream: string) =>
    categories.find((category) => keyInPartition(category, stream) !== null) ?? first;
  const blocked = (category: string) => keyOf(blockedOf(category, group));
  return {
    indexes: categories.map((category) => keyOf(partitionsOf(category))),
    wakes: categories.map((category) => keyOf(wakeOf(category))),
    owners: inGroup(ownersOf(group)),
    lease: (key) => inGroup(leaseOf(group, key)),
    leaseIn: (key, other) => inGroup(leaseOf(other, key)),
    generation: (key, other = group) => inGroup(generationOf(other, key)),
    streams: names,
    all: (key) => names(key).flatMap((stream) => [replayOf(stream, group), stream]),
    replay: (stream, other = group) => keyOf(replayOf(stream, other)),
    around: (stream) => [
      keyOf(stream),
      keyOf(attemptsOf(stream, group)),
      blocked(categoryOf(stream)),
      keyOf(deadLettersOf(stream)),
    ],
    attempts: (stream, other = group) => keyOf(attemptsOf(stream, other)),
    blocked,
    wake: (category) => keyOf(wakeOf(category)),
    categoryOf,
    letters: (stream) => keyOf(deadLettersOf(stream)),
    of: keyOf,
  };
}

/** What a lease holds, and what its owner's consumer is called. */
export const tokenOf = (owner: string, { generation }: Lease): string => `${owner}:${generation}`;
