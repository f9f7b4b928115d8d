import type { AttemptRecord, Delivery } from './broker.ts';

const none: readonly AttemptRecord[] = [];

/**
 * The entries that were handed out and not settled yet, so that none is handed out twice and those that went missing on
 * their way can be told from them. Beside each stands the history this process knows of, for when Redis could not keep it.
 */
export interface Hand {
  /** False when it is there already. */
  take(stream: string, id: string): boolean;
  has(stream: string, id: string): boolean;
  size(stream: string): number;
  historyOf(stream: string, id: string): readonly AttemptRecord[];
  /** Remembers what was written down of an entry in hand. */
  note(delivery: Delivery, history: readonly AttemptRecord[]): void;
  release(stream: string, id: string): void;
}

export function createHand(): Hand {
  const streams = new Map<string, Map<string, readonly AttemptRecord[]>>();
  const of = (stream: string) => {
    let held = streams.get(stream);
    if (held === undefined) {
      held = new Map();
      streams.set(stream, held);
    }
    return held;
  };
  return {
    take(stream, id) {
      const held = of(stream);
      if (held.has(id)) return false;
      held.set(id, none);
      return true;
    },
    has: (stream, id) => of(stream).has(id),
    size: (stream) => of(stream).size,
    historyOf: (stream, id) => of(stream).get(id) ?? none,
    note({ stream, id }, history) {
      const held = of(stream);
      if (held.has(id)) held.set(id, history);
    },
    release: (stream, id) => {
      of(stream).delete(id);
    },
  };
}
