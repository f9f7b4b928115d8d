import type { Positions } from '../event-store/positions.ts';
import type { LeaseStore } from '../runtime/lease.ts';

/** Where subscriptions of the event store keep what they own, and how far they have come. */
export interface EventStoreKeeping {
  readonly leases: LeaseStore;
  readonly positions: Positions;
  /** Whether a position is committed with the effects of its handler; else the inbox tells what was handled. */
  readonly together: boolean;
}
