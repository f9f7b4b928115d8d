import { deadLettersOf, partitionsOf, replayOf } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { blockedBy } from './blocked.ts';
import type { Delivery, Settlement } from './broker.ts';
import type { InlineHold, InlineShared } from './inline-partition-shared.ts';
import { plainStreamsOf } from './inline-partition-shared.ts';
import { forget } from './inline-stream.ts';
import type { Blocked, Fenced, Lease, PartitionOptions } from './partition.ts';

/** What the owner of keys in memory writes down of them, and how keys come to their end. */
export function createInlineSettling(options: PartitionOptions, shared: InlineShared, hold: InlineHold) {
  const { categories } = options;
  const { clock, known, append, leases, generations, indexes } = shared;
  const { nameOf, groupOn, hashOf, holds, ours } = hold;

  function finish(lease: Lease, { stream, id }: Delivery): void {
    const place = groupOn(stream);
    if (place !== null) forget(place, id);
    const hash = shared.blocked.get(hashOf(stream));
    if (hash?.get(lease.key)?.entryId === id) hash.delete(lease.key);
  }

  /** False where the key is another's. */
  function settleOne({ lease, thing }: Fenced<Settlement>): boolean {
    const { kind, delivery } = thing;
    if (!holds(lease)) return false;
    const pending = ours(lease, delivery);
    const place = groupOn(delivery.stream);
    if (pending === null || place === null) return true;
    switch (kind) {
      case 'ack':
        finish(lease, delivery);
        return true;
      case 'dead_letter':
        append(thing.stream, thing.body);
        finish(lease, delivery);
        return true;
      case 'retry':
        place.histories.set(delivery.id, [...delivery.history, thing.failure]);
        place.crashes.delete(delivery.id);
        return true;
      case 'give_back':
        pending.deliveries = 0;
        place.crashes.set(delivery.id, delivery.crashes);
        return true;
      case 'halt': {
        const hash = shared.blocked.get(hashOf(delivery.stream)) ?? new Map<string, Blocked>();
        shared.blocked.set(hashOf(delivery.stream), hash.set(lease.key, blockedBy(delivery, thing.failure)));
        place.crashes.delete(delivery.id);
        return true;
      }
    }
  }

  function isCold(stream: string, idleMs: Millis, groups: readonly string[]): boolean {
    const there = known(stream);
    if (there === null) return true;
    const last = there.entries.at(-1);
    if (last !== undefined && last.addedAt > clock.now() - idleMs) return false;
    return groups.every((each) => {
      const place = there.existing(each);
      return place === null
        ? there.entries.length === 0
        : place.next >= there.entries.length && place.pending.size === 0;
    });
  }

  function reapOne(lease: Lease, idleMs: Millis, groups: readonly string[]): boolean {
    if (!holds(lease)) return false;
    const { key } = lease;
    const streams = plainStreamsOf(options, key);
    const cold = streams.every(
      (stream) =>
        isCold(stream, idleMs, groups) &&
        (known(deadLettersOf(stream))?.entries.length ?? 0) === 0 &&
        groups.every((each) => isCold(replayOf(stream, each), idleMs, [each])),
    );
    if (!cold) return false;
    for (const category of categories) indexes.get(partitionsOf(category))?.delete(key);
    for (const stream of streams) {
      shared.remove(stream);
      for (const each of groups) shared.remove(replayOf(stream, each));
    }
    leases.delete(nameOf(lease));
    generations.delete(nameOf(lease));
    return true;
  }

  return { settleOne, reapOne };
}
