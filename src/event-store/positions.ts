import type { TransactionSql } from 'postgres';

/** How far a subscription has come. Positions are global ones. */
export interface Progress {
  /** Everything up to it is handled, or is in `failed`. -1 before the first. */
  readonly position: bigint;
  /** Handled beyond it, out of order; ascending. */
  readonly ahead: readonly bigint[];
  /** Failed, passed over, and to be tried again; ascending. */
  readonly failed: readonly bigint[];
  /** How often a message was begun and never ended, failed ones among them: of those that may have killed the process. */
  readonly started: ReadonlyMap<bigint, number>;
  /** The last owner has left in order; one that has not may have died of the message in its hand. */
  readonly clean: boolean;
}

/** What an owner writes down, all of it at once. Said again it changes nothing. */
export interface Advance {
  /** Never moves back. */
  readonly position: bigint;
  /** Handled; those above `position` are added to `ahead`. */
  readonly done: readonly bigint[];
  /** Failed just now. Counts as passed over. */
  readonly failed: readonly bigint[];
  /** No longer failed: handled, or given up. */
  readonly mended: readonly bigint[];
}

/** One message that was handled, as its handler's own transaction writes it down. */
export interface Receipt {
  /** Up to where everything is handled, as far as is known. */
  readonly position: bigint;
  readonly done: readonly bigint[];
  readonly mended: readonly bigint[];
}

/**
 * Where the positions of subscriptions are kept: in a database that handlers write to, so that a position and the effects
 * are committed together. Every write is fenced: it holds only as long as `token`, that of the lease, is the one that has
 * claimed the subscription last. Throws UnavailableError and MisconfiguredError as the database does.
 */
export interface Positions {
  /**
   * Takes the subscription for the holder of `token`; from here on earlier owners write nothing more. Where it is not
   * known yet, it begins with `first`. Null when a later owner has claimed it: its token is larger.
   */
  claim(subscription: string, token: bigint, first: Pick<Progress, 'position' | 'failed'>): Promise<Progress | null>;
  /** False when the token is no longer the one that counts; then nothing was written. */
  advance(subscription: string, token: bigint, change: Advance): Promise<boolean>;
  /** Counts one more start of a message that may kill the process. False as above. */
  start(subscription: string, token: bigint, position: bigint): Promise<boolean>;
  /** The owner leaves in order. */
  release(subscription: string, token: bigint): Promise<void>;
  /**
   * In the transaction of a handler, as the last thing before its commit; null for a database in memory. `duplicate`: it
   * is written down already, so the handler's effects must not be written again. `fenced`: another owner has it now.
   */
  record(
    sql: TransactionSql | null,
    subscription: string,
    token: bigint,
    receipt: Receipt,
  ): Promise<'recorded' | 'duplicate' | 'fenced'>;
  /** Without claiming it; null where it is not known. */
  look(subscription: string): Promise<Progress | null>;
  /**
   * Begins anew behind `position`, nothing failed, in a transaction of the caller's; null for a database in memory. Fences
   * earlier owners out, so the caller must hold the lease.
   */
  reset(sql: TransactionSql | null, subscription: string, token: bigint, position: bigint): Promise<void>;
}
