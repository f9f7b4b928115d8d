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

/** At most `max` at a time, of which up to `keep` are kept when they are free. `make` may fail; that is the asker's. */
export function createPool<T extends Pooled>(
  { max, keep }: { readonly max: number; readonly keep: number },
  make: () => Promise<T>,
): Pool<T> {
  const free: T[] = [];
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
      for (let one = free.pop(); one !== undefined; one = free.pop()) {
        if (one.usable()) return one;
        drop(one);
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
      if (size > keep) return drop(one);
      free.push(one);
    },
    close(reason) {
      closed = reason;
      for (const one of free.splice(0)) drop(one);
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
