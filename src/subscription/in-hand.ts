import type { Delivery } from '../broker/broker.ts';
import type { Millis } from '../runtime/clock.ts';

/**
 * A delivery that this consumer answers for, from the read to the settlement:
 *
 *   queued ──▶ running ──▶ settling ──▶ (gone)
 *     ▲           └──▶ waiting ──┐  until `dueAt`, then taken again from the broker
 *     └──────────────────────────┘
 */
export interface Held {
  delivery: Delivery;
  state: 'queued' | 'running' | 'waiting' | 'settling';
  /** Monotonic: when it came into hand, or was last heard of as still ours. */
  seenAt: Millis;
  /** Monotonic: of a waiting one, when it is to be tried again. */
  dueAt: Millis;
  /** Another consumer owns it by now: what its handler does is no longer settled here. */
  disowned: boolean;
  /** Cuts its handler short. Made when the handler first asks for the signal. */
  cut: AbortController | null;
  /** What follows once its settlement is made: told whether another consumer owned it. */
  afterwards: ((disowned: boolean) => void) | null;
}

/** The bytes in hand of all subscriptions of a process. */
export interface Load {
  bytes: number;
}

/** All that is in hand, and how much of it: what back-pressure and heartbeats go by. */
export interface InHand {
  take(delivery: Delivery, now: Millis): Held;
  /** Whether the entry is in hand already, as after a reclaim that met one of our own. */
  has(delivery: Delivery): boolean;
  release(held: Held): void;
  /** Lets go of the body while it waits; the bytes no longer count. */
  wait(held: Held, dueAt: Millis): void;
  due(now: Millis, limit: number): readonly Held[];
  /** When the next waiting one is due, or null. */
  nextDueAt(): Millis | null;
  /** Those not heard of since `before`: due for a heartbeat. */
  unseenSince(before: Millis): readonly Held[];
  find(delivery: Delivery): Held | undefined;
  all(): readonly Held[];
  readonly size: number;
  /** Those that a handler has or will soon have: all but the waiting. */
  readonly active: number;
  readonly bytes: number;
}

/** What tells one delivery of a consumer from another. */
export const keyOf = ({ stream, id }: Delivery): string => `${stream} ${id}`;

/**
 * Emptied when what it holds is released: the tables that a Map has outgrown stay until the whole heap is looked through,
 * and would keep every body there that was in hand at the time.
 */
interface Place {
  held: Held | undefined;
}

/** `load`: the bytes in hand of all subscriptions that share it. */
export function createInHand(load: Load): InHand {
  const all = new Map<string, Place>();
  const waiting = new Set<Held>();
  let bytes = 0;
  const add = (more: number) => {
    bytes += more;
    load.bytes += more;
  };
  const every = (): readonly Held[] => [...all.values()].flatMap(({ held }) => held ?? []);

  return {
    take(delivery, now) {
      const held: Held = {
        delivery,
        state: 'queued',
        seenAt: now,
        dueAt: 0,
        disowned: false,
        cut: null,
        afterwards: null,
      };
      all.set(keyOf(delivery), { held });
      add(delivery.body.length);
      return held;
    },
    has: (delivery) => all.has(keyOf(delivery)),
    release(held) {
      const key = keyOf(held.delivery);
      const place = all.get(key);
      if (place === undefined) return;
      place.held = undefined;
      all.delete(key);
      waiting.delete(held);
      add(-held.delivery.body.length);
    },
    wait(held, dueAt) {
      add(-held.delivery.body.length);
      held.delivery = { ...held.delivery, body: '', raw: null };
      held.state = 'waiting';
      held.dueAt = dueAt;
      waiting.add(held);
    },
    due(now, limit) {
      const due: Held[] = [];
      for (const held of waiting) {
        if (due.length === limit) break;
        if (held.dueAt <= now) due.push(held);
      }
      return due;
    },
    nextDueAt() {
      let next: Millis | null = null;
      for (const { dueAt } of waiting) if (next === null || dueAt < next) next = dueAt;
      return next;
    },
    unseenSince: (before) => every().filter(({ seenAt, disowned }) => seenAt <= before && !disowned),
    find: (delivery) => all.get(keyOf(delivery))?.held,
    all: every,
    get size() {
      return all.size;
    },
    get active() {
      return all.size - waiting.size;
    },
    get bytes() {
      return bytes;
    },
  };
}
