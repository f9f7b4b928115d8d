import type { Clock, Millis } from '../runtime/clock.ts';

/** What is lent: one piece of work has it at a time. */
export interface Pooled {
  /** Whether it may be lent again. */
  usable(): boolean;
  /** Waits for its last statement, for a moment. */
  end(): Promise<void>;
}

export interface Pool<T extends Pooled> {
  /** One that is free, or a new one, or the next to be given back: first come, first served. */
  lend(signal: AbortSignal): Promise<T>;
  giveBack(one: T): void;
  /** Ends what is free, and each of the others when it is given back. Those who wait are turned away with `reason`. */
  close(reason: Error): void;
}

interface Waiter<T> {
  /** Null: there is room, so make one. */
  readonly serve: (one: T | null) => void;
  readonly turnAway: (reason: Error) => void;
}

/**
 * At most `max` at a time. Those above `keep` are ended once nobody has wanted them for `idleMs`: not at once, since
 * connecting costs many times what a transaction does. `make` may fail; that is the asker's.
 */
export function createPool<T extends Pooled>(
  { max, keep, idleMs }: { readonly max: number; readonly keep: number; readonly idleMs: Millis },
  make: () => Promise<T>,
  clock: Clock,
): Pool<T> {
  /** The one that was given back last is lent first, so those nobody wants gather in front. */
  const free: { readonly one: T; readonly since: Millis }[] = [];
  const waiting: Waiter<T>[] = [];
  let size = 0;
  let closed: Error | null = null;

  /** Somebody who waits may make a new one in the place of one that is gone. */
  function leave(): void {
    size -= 1;
    const next = waiting.shift();
    if (next === undefined) return;
    size += 1;
    next.serve(null);
  }

  function drop(one: T): void {
    void one.end();
    leave();
  }

  async function made(): Promise<T> {
    try {
      return await make();
    } catch (error) {
      leave();
      throw error;
    }
  }

  return {
    async lend(signal) {
      if (closed !== null) throw closed;
      signal.throwIfAborted();
      for (let found = free.pop(); found !== undefined; found = free.pop()) {
        if (found.one.usable()) return found.one;
        drop(found.one);
      }
      if (size < max) {
        size += 1;
        return made();
      }
      const served = await turn(waiting, signal);
      return served ?? made();
    },
    giveBack(one) {
      if (closed !== null || !one.usable()) return drop(one);
      const next = waiting.shift();
      if (next !== undefined) return next.serve(one);
      const now = clock.monotonic();
      free.push({ one, since: now });
      const [oldest] = free;
      if (size <= keep || oldest === undefined || now - oldest.since <= idleMs) return;
      free.shift();
      drop(oldest.one);
    },
    close(reason) {
      closed = reason;
      for (const { one } of free.splice(0)) drop(one);
      for (const { turnAway } of waiting.splice(0)) turnAway(reason);
    },
  };
}

/** A place in the queue, left when `signal` aborts. */
function turn<T>(waiting: Waiter<T>[], signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const waiter: Waiter<T> = {
      serve: (one) => done(() => resolve(one)),
      turnAway: (reason) => done(() => reject(reason)),
    };
    const leave = () => {
      waiting.splice(waiting.indexOf(waiter), 1);
      done(() => reject(signal.reason));
    };
    const done = (settle: () => void) => {
      signal.removeEventListener('abort', leave);
      settle();
    };
    signal.addEventListener('abort', leave, { once: true });
    waiting.push(waiter);
  });
}
