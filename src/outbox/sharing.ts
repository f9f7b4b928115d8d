import type { LeaseStore } from '../runtime/lease.ts';
import type { SharesConfig, SharesDeps } from '../runtime/shares.ts';
import { createShares } from '../runtime/shares.ts';

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
 * An even share of the shards (see Shares). While a replica still holds a shard of another number of shards, nobody takes
 * one: it knows no better yet, and both would publish the same streams.
 */
export function createSharing(config: SharesConfig, deps: SharesDeps): Sharing {
  const { prefix } = config;
  const { look, leasesFor, gone, leave } = createShares(config, deps);
  return {
    async look(shards) {
      await look(shards, (name) => !name.endsWith(`/${shards}`));
    },
    leaseOf: (index, shards) => `${prefix}:${index}/${shards}`,
    leasesFor: (index, letGo) => leasesFor(String(index), letGo),
    gone: (index) => gone(String(index)),
    leave,
  };
}
