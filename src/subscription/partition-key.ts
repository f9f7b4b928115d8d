import type { Delivery } from '../broker/broker.ts';
import type { Lease } from '../broker/partition.ts';
import type { Millis } from '../runtime/clock.ts';
import { keyOf } from './in-hand.ts';

/** A delivery in the hand of the subscription. */
export interface Handed {
  readonly delivery: Delivery;
  /** Monotonic: when the subscription last spoke of it. */
  seenAt: Millis;
}

/**
 * A key that this process owns:
 *
 *   taken ──pending of former owners──▶ looking through ──▶ reading ⇄ handing out ──▶ given back, or lost
 *
 * `queue` holds what was read and not handed out yet, `out` what is in the hand of the subscription.
 */
export interface OwnedKey {
  readonly lease: Lease;
  /** Monotonic: nothing of it is handed out later than this, unless the lease is renewed. */
  trustedUntil: Millis;
  /** While its pending entries are looked through: for each of its streams from which id, null for those done with. */
  recovery: readonly (string | null)[] | null;
  /** What is pending may be what killed its former owner. */
  inherited: boolean;
  queue: Delivery[];
  readonly out: Map<string, Handed>;
  /** There was more to be read when it was read last. */
  more: boolean;
  /** The message that it stands still behind, or null. */
  blockedBy: string | null;
  /** Monotonic: when something was last read of it or settled. */
  activeAt: Millis;
  /** Monotonic: it cannot be read before. */
  pausedUntil: Millis;
  /** Something was settled since it was trimmed. */
  grown: boolean;
}

/** A key just taken; `streams` is how many it has. */
export function ownedKey(lease: Lease, trustedUntil: Millis, pending: boolean, streams: number, now: Millis): OwnedKey {
  return {
    lease,
    trustedUntil,
    recovery: pending ? lookThrough(streams) : null,
    inherited: pending,
    queue: [],
    out: new Map(),
    more: false,
    blockedBy: null,
    activeAt: now,
    pausedUntil: 0,
    grown: false,
  };
}

/** From the beginning of each stream. */
export const lookThrough = (streams: number): readonly string[] => Array.from({ length: streams }, () => '-');

/** Nothing of it is in anybody's hand. */
export const isIdle = ({ out }: OwnedKey): boolean => out.size === 0;

/** Whether the next of its queue may be handed out. In order, that is one at a time. */
export const mayHandOut = ({ queue, out, trustedUntil }: OwnedKey, inOrder: boolean, now: Millis): boolean =>
  queue.length > 0 && now < trustedUntil && !(inOrder && out.size > 0);

/** Whether more of it should be read: one batch waits while another is handled. */
export const mayRead = ({ queue, pausedUntil }: OwnedKey, now: Millis): boolean =>
  queue.length === 0 && now >= pausedUntil;

/** What was read joins the queue, without what is in hand already. Only the first of a key can have run: the key is in order. */
export function enqueue(key: OwnedKey, deliveries: readonly Delivery[], inOrder: boolean): void {
  const known = new Set([...key.queue.map(keyOf), ...key.out.keys()]);
  const mayHaveRun = key.inherited && key.queue.length === 0 && key.out.size === 0;
  for (const [index, delivery] of deliveries.entries()) {
    if (known.has(keyOf(delivery))) continue;
    const suspect = delivery.suspect && (inOrder ? mayHaveRun && index === 0 : key.inherited);
    key.queue.push(suspect === delivery.suspect ? delivery : { ...delivery, suspect });
  }
}
