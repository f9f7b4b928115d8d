import type { Delivery } from '../broker/broker.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { createWake } from '../runtime/wake.ts';
import { keyOf } from './in-hand.ts';
import type { OwnedKey } from './partition-key.ts';
import { mayHandOut, mayRead } from './partition-key.ts';

/** Which keys are to be read next, and what of them goes to the subscription next: each in its turn, however many there are. */
export interface PartitionQueue {
  /** They are to be read. */
  turn(keys: Iterable<OwnedKey>): void;
  /** Takes out at most `count` keys that can be read now. */
  toRead(count: number): readonly OwnedKey[];
  /** Something was read of a key, or settled: it goes on with what it has, or is read again. */
  offer(key: OwnedKey): void;
  handOut(count: number, wanted: (delivery: Delivery) => boolean): readonly Delivery[];
  /** A delivery is out of hand: the next of its key may follow. */
  free(key: OwnedKey, delivery: Delivery): void;
  /** What was handed out, and of which the subscription has not spoken since `before`. */
  unspokenSince(before: Millis): readonly { readonly key: OwnedKey; readonly delivery: Delivery }[];
  /** Resolves after `ms`, when `signal` aborts, or when there may be something to read or to hand out. */
  rest(ms: Millis, signal: AbortSignal): Promise<void>;
}

export interface PartitionQueueDeps {
  /** One delivery of a key at a time. */
  readonly inOrder: boolean;
  readonly clock: Clock;
  /** Whether the key is still the one that this process owns. */
  readonly owns: (key: OwnedKey) => boolean;
}

export function createPartitionQueue({ inOrder, clock, owns }: PartitionQueueDeps): PartitionQueue {
  const turns = new Set<OwnedKey>();
  const offers = new Set<OwnedKey>();
  /** Those with deliveries in hand. */
  const busy = new Set<OwnedKey>();
  const wake = createWake(clock);

  function offer(key: OwnedKey): void {
    if (key.queue.length > 0) offers.add(key);
    else if (key.more || key.recovery !== null) turns.add(key);
    wake.notify();
  }

  return {
    offer,
    turn(keys) {
      const before = turns.size;
      for (const key of keys) turns.add(key);
      if (turns.size > before) wake.notify();
    },
    toRead(count) {
      const now = clock.monotonic();
      const chosen: OwnedKey[] = [];
      for (const key of turns) {
        if (chosen.length >= count) break;
        turns.delete(key);
        if (!owns(key)) continue;
        if (mayRead(key, now)) chosen.push(key);
        // What it was to be read for is read when its queue is empty.
        else key.more = true;
      }
      return chosen;
    },
    handOut(count, wanted) {
      const handed: Delivery[] = [];
      const now = clock.monotonic();
      for (const key of offers) {
        if (handed.length >= count) break;
        if (!owns(key)) {
          offers.delete(key);
          continue;
        }
        while (handed.length < count && mayHandOut(key, inOrder, now)) {
          const [next] = key.queue;
          if (next === undefined || !wanted(next)) break;
          key.queue.shift();
          key.out.set(keyOf(next), { delivery: next, seenAt: now });
          busy.add(key);
          handed.push(next);
        }
        if (key.queue.length === 0 || (inOrder && key.out.size > 0)) offers.delete(key);
        if (key.queue.length === 0 && key.more) turns.add(key);
      }
      return handed;
    },
    free(key, delivery) {
      key.out.delete(keyOf(delivery));
      if (key.out.size === 0) busy.delete(key);
      key.activeAt = clock.monotonic();
      offer(key);
    },
    unspokenSince(before) {
      const found: { readonly key: OwnedKey; readonly delivery: Delivery }[] = [];
      for (const key of busy) {
        if (!owns(key)) busy.delete(key);
        else for (const { delivery, seenAt } of key.out.values()) if (seenAt <= before) found.push({ key, delivery });
      }
      return found;
    },
    rest: (ms, signal) => wake.rest(ms, signal),
  };
}
