import type { Chance } from './chance.ts';

/** What may happen at a point where a process awaits something. */
export const faultKinds = [
  /** The process dies before it asks, or when what it asked for has just been done. */
  'crash_before',
  'crash_after',
  /** It stands still, as a paused machine does. */
  'pause_before',
  'pause_after',
  /** Nothing is done, and it learns of that when its patience ends. */
  'lost_request',
  /** It is done, and the process does not learn of it. */
  'lost_reply',
  /** It is done long after the process has given up waiting. */
  'delayed',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Every await of a process on something outside of it, by the port's name and the method's. */
export const points = [
  'outbox.shards',
  'outbox.read',
  'outbox.published',
  'outbox.refused',
  'outbox.purge',
  'lease.acquire',
  'lease.renew',
  'lease.release',
  'lease.live',
  'broker.publish',
  'broker.consume',
  'consumer.read',
  'consumer.settle',
  'consumer.recordStart',
  'consumer.retake',
  'consumer.heartbeat',
  'consumer.takeGivenBack',
  'consumer.reclaim',
  'consumer.leave',
  'partitions.keys',
  'partitions.join',
  'partitions.leave',
  'partitions.acquire',
  'partitions.renew',
  'partitions.release',
  'partitions.read',
  'partitions.settle',
  'partitions.recordStart',
  'partitions.retake',
  'partitions.gone',
  'partitions.reap',
  'partitions.hear',
  'work.get',
  'work.put',
  'work.commit',
  'positions.claim',
  'positions.advance',
  'positions.start',
  'positions.release',
  'store.append',
  'store.readCategory',
  'store.readStream',
  'store.lastMessage',
  'store.horizon',
  'store.running',
  'handler.begun',
] as const;
export type Point = (typeof points)[number];

/** A fault that was made, for the account of duplicates. */
export interface Made {
  readonly at: number;
  readonly process: string;
  readonly point: string;
  readonly kind: string;
}

export interface Faults {
  /** What is to happen at this point now; null for nothing. */
  readonly at: (point: Point) => FaultKind | null;
  /** From here on nothing goes wrong any more. */
  readonly end: () => void;
}

/** Handlers are not asked over a wire: there is no reply to lose. */
const withinProcess: readonly FaultKind[] = ['crash_before', 'pause_before'];

/**
 * Aims `count` faults at points drawn alike, so that one reached a thousand times draws no more of them than one reached
 * once: each strikes when its point has been reached so many times.
 */
export function plannedFaults(chance: Chance, count: number): Faults {
  const planned = Array.from({ length: count }, () => {
    const point = chance.oneOf(points);
    const kind = chance.oneOf(point === 'handler.begun' ? withinProcess : faultKinds);
    return { point, kind, times: Math.floor(1 / (1 - chance.random() * 0.97)) };
  });
  const reached = new Map<Point, number>();
  let ended = false;
  return {
    at(point) {
      const times = (reached.get(point) ?? 0) + 1;
      reached.set(point, times);
      if (ended) return null;
      const index = planned.findIndex((each) => each.point === point && each.times <= times);
      return index === -1 ? null : (planned.splice(index, 1)[0]?.kind ?? null);
    },
    end() {
      ended = true;
    },
  };
}
