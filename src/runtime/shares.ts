import type { Clock, Millis } from './clock.ts';
import type { LeaseConfig, LeaseStore } from './lease.ts';

export interface SharesConfig {
  /** What the names of all leases that are shared out begin with. */
  readonly prefix: string;
  readonly owner: string;
  readonly lease: Pick<LeaseConfig, 'ttlMs' | 'renewEveryMs'>;
}

export interface SharesDeps {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** What this replica holds of many things that have one owner each, and how many it may. */
export interface Shares {
  /**
   * Says that this replica is there, and counts the others. To be asked every second or so, with the number of things
   * there are; throws as the store does. While somebody holds what `isForeign` (its name without the prefix), nobody takes
   * anything. Answers all names that somebody holds, without the prefix.
   */
  look(total: number, isForeign?: (name: string) => boolean): Promise<readonly string[]>;
  /** Lets go of what this replica holds by these keys, and takes none of them, until told otherwise. */
  pause(keys: ReadonlySet<string>): void;
  /**
   * The store, which gives out a lease only while this replica has less than its share. `letGo` is aborted when it has
   * more, and this thing is the one to go.
   */
  leasesFor(key: string, letGo: AbortController): LeaseStore;
  /** To be told when a thing is no longer held. */
  gone(key: string): void;
  /** Says that this replica is no longer there. Never throws: where the store is away, the lease runs out. */
  leave(): Promise<void>;
}

/**
 * How replicas come to an even share without talking to each other: each holds a lease that says it lives,
 * `<prefix>:member:<n>`, and counts those of the others. A share is the number of things by that of the living, rounded
 * up; one takes no more, and lets go of what it has above.
 */
export function createShares(config: SharesConfig, deps: SharesDeps): Shares {
  const { prefix, owner, lease } = config;
  const { store, clock, onError } = deps;
  const held = new Map<string, AbortController>();
  let member: { readonly name: string; readonly token: string; readonly renewAt: Millis } | null = null;
  let share = 0;
  let foreign = false;
  let taking = 0;
  let paused: ReadonlySet<string> = new Set();

  async function stay(): Promise<void> {
    const now = clock.monotonic();
    if (member !== null && now < member.renewAt) return;
    const renewAt = now + lease.renewEveryMs;
    if (member !== null && (await store.renew(member.name, owner, member.token, lease.ttlMs))) {
      member = { ...member, renewAt };
      return;
    }
    member = null;
    // Numbers, not the owners' names: so that those of the dead are used again.
    for (let number = 0; member === null; number += 1) {
      const name = `${prefix}:member:${number}`;
      const token = await store.acquire(name, owner, lease.ttlMs);
      if (token !== null) member = { name, token, renewAt };
    }
  }

  return {
    async look(total, isForeign = () => false) {
      await stay();
      const names = (await store.live(`${prefix}:`)).map((name) => name.slice(prefix.length + 1));
      const members = names.filter((name) => name.startsWith('member:')).length;
      foreign = names.some((name) => !name.startsWith('member:') && isForeign(name));
      share = Math.ceil(total / Math.max(1, members));
      for (const key of [...held.keys()].sort(byNumber).slice(share)) held.get(key)?.abort();
      return names;
    },
    pause(keys) {
      paused = keys;
      for (const key of keys) held.get(key)?.abort();
    },
    leasesFor: (key, letGo) => ({
      ...store,
      async acquire(...asked) {
        if (foreign || paused.has(key) || held.size + taking >= share) return null;
        taking += 1;
        try {
          const token = await store.acquire(...asked);
          if (token !== null) held.set(key, letGo);
          return token;
        } finally {
          taking -= 1;
        }
      },
    }),
    gone: (key) => void held.delete(key),
    async leave() {
      const { name, token } = member ?? {};
      if (name === undefined || token === undefined) return;
      member = null;
      await store.release(name, owner, token).catch(onError);
    },
  };
}

const byNumber = (one: string, other: string): number => one.localeCompare(other, 'en', { numeric: true });
