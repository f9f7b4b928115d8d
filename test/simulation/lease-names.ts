/** What the lease of a key is known by, where the group of `Ledger` reads by partition. */
export const partitionLease = (key: string): string => `shop.Ledger ${key}`;

/** The lease of the subscription of the event store that `Auditor` has. */
export const subscriptionLease = (): string => 'event_store:shop:shop.Auditor-shop::audit';
