import type { LeaseTimes } from '../config/config.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { LeaseStore } from '../runtime/lease.ts';

export interface SharingConfig {
  /** What the names of all leases of this outbox and broker begin with. */
  readonly prefix: string;
  readonly owner: string;
  readonly lease: LeaseTimes;
}

export interface SharingDeps {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** The shards that this replica holds, and how many it may. */
export interface Sharing {
  /** Says that this replica is there, and counts the others. To be asked every second or so; throws as the store does. */
  look(shards: number): Promise<void>;
  leaseOf(index: number, shards: number): string;
  /**
   * The store, which gives out a shard's lease only while this replica has less than its share. `letGo` is aborted when
   * it has more, and this shard is the one to go.
   */
  leasesFor(index: number, letGo: AbortController): LeaseStore;
  /** To be told when a shard is no longer held. */
  gone(index: number): void;
  /** Says that this replica is no longer there. Never throws: where the database is away, the lease runs out. */
  leave(): Promise<void>;
}

/**
 * How replicas come to an even share of the shards without talking to each other: each holds a lease that says it lives,
 * `<prefix>:member:<n>`, and counts those of the others. A share is the number of shards by that of the living, rounded
 * up; one takes no more, and lets go of what it has above. While a replica still holds a shard of another number of
 * shards, nobody takes one: it knows no better yet, and both would publish the same streams.
 */
export function createSharing(config: SharingConfig, deps: SharingDeps): Sharing {
  const { prefix, owner, lease } = config;
  const { store, clock, onError } = deps;
  const held = new Map<number, AbortController>();
  let member: { readonly name: string; readonly token: string; readonly renewAt: Millis } | null = null;
  let share = 0;
  let others = false;
  let taking = 0;

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
    async look(shards) {
      await stay();
      const names = (await store.live(`${prefix}:`)).map((name) => name.slice(prefix.length + 1));
      const members = names.filter((name) => name.startsWith('member:')).length;
      others = names.some((name) => !name.startsWith('member:') && !name.endsWith(`/${shards}`));
      share = Math.ceil(shards / Math.max(1, members));
      for (const index of [...held.keys()].sort((a, b) => a - b).slice(share)) held.get(index)?.abort();
    },
    leaseOf: (index, shards) => `${prefix}:${index}/${shards}`,
    leasesFor: (index, letGo) => ({
      ...store,
      async acquire(...asked) {
        if (others || held.size + taking >= share) return null;
        taking += 1;
        try {
          const token = await store.acquire(...asked);
          if (token !== null) held.set(index, letGo);
          return token;
        } finally {
          taking -= 1;
        }
      },
    }),
    gone: (index) => void held.delete(index),
    async leave() {
      const { name, token } = member ?? {};
      if (name === undefined || token === undefined) return;
      member = null;
      await store.release(name, owner, token).catch(onError);
    },
  };
}
