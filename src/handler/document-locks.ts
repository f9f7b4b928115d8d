import { ConcurrencyError } from '../runtime/errors.ts';

/** Who holds locks: a unit of work, by identity. */
export type Holder = object;

/** Exclusive locks on names, held until they are all released together: row locks for a database in memory. */
export interface DocumentLocks {
  /**
   * Resolves when `holder` has the lock, or has released all its locks meanwhile. Rejects with ConcurrencyError where
   * waiting would close a circle of holders that wait for each other.
   */
  acquire(name: string, holder: Holder): Promise<void>;
  /** Gives each of the holder's locks to the one that waited longest for it. */
  release(holder: Holder): void;
}

interface Lock {
  owner: Holder;
  readonly waiting: { readonly holder: Holder; readonly proceed: () => void }[];
}

export function createDocumentLocks(): DocumentLocks {
  const locks = new Map<string, Lock>();
  /** The locks that a holder owns or waits for. */
  const wanted = new Map<Holder, Set<Lock>>();

  const want = (holder: Holder, lock: Lock) => {
    const all = wanted.get(holder) ?? new Set();
    wanted.set(holder, all.add(lock));
  };

  /** Whether the owner of `lock` waits, by however many steps, for `holder`. */
  function waitsFor(lock: Lock, holder: Holder, seen: Set<Lock> = new Set()): boolean {
    if (lock.owner === holder) return true;
    if (seen.has(lock)) return false;
    seen.add(lock);
    const blocking = [...(wanted.get(lock.owner) ?? [])].filter((each) => each.owner !== lock.owner);
    return blocking.some((each) => waitsFor(each, holder, seen));
  }

  return {
    async acquire(name, holder) {
      const lock = locks.get(name);
      if (lock === undefined) {
        const fresh: Lock = { owner: holder, waiting: [] };
        locks.set(name, fresh);
        want(holder, fresh);
        return;
      }
      if (lock.owner === holder) return;
      if (waitsFor(lock, holder)) {
        throw new ConcurrencyError('handlers wait for each other’s documents in a circle: read them in one order');
      }
      want(holder, lock);
      await new Promise<void>((proceed) => lock.waiting.push({ holder, proceed }));
    },
    release(holder) {
      for (const lock of wanted.get(holder) ?? []) {
        for (const [index, { holder: waiter, proceed }] of [...lock.waiting.entries()].reverse()) {
          if (waiter !== holder) continue;
          lock.waiting.splice(index, 1);
          proceed();
        }
        if (lock.owner !== holder) continue;
        const next = lock.waiting.shift();
        if (next !== undefined) {
          lock.owner = next.holder;
          next.proceed();
        }
      }
      wanted.delete(holder);
      for (const [name, { owner }] of locks) if (owner === holder) locks.delete(name);
    },
  };
}
