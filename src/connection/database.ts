import type { Sql, TransactionSql } from 'postgres';
import type { Millis } from '../runtime/clock.ts';

/**
 * A database of domain.toml. Connections are made when first needed and are the daemon's own, never shared between two
 * pieces of work at a time. The daemon's statements and the handlers' transactions draw from separate shares, so that
 * busy handlers never keep a lease from being renewed.
 */
export interface Database {
  /** Its name in domain.toml. */
  readonly name: string;
  /** Where the tables of domaind are; an identifier, checked. */
  readonly schema: string;
  /**
   * Runs one statement, within `ms` from now (default: the database's statement timeout). Past that the connection is
   * destroyed, the server is asked to cancel, and the outcome is unknown. Throws UnavailableError where the database
   * cannot be reached or has not answered, MisconfiguredError where waiting does not help.
   */
  bounded<T>(statement: (sql: Sql) => PromiseLike<T>, ms?: Millis): Promise<T>;
  /**
   * A transaction that opens with its first statement. `first` runs right after BEGIN, before the statement that
   * opened it; when it throws, every statement fails with its error.
   */
  transaction(first?: (sql: TransactionSql) => Promise<void>): Transaction;
  /** Ends every connection; statements under way fail. Later calls are answered with UnavailableError. */
  close(): Promise<void>;
}

/** One transaction, for one piece of work. Must be ended by `commit` or `rollback`, also when it was never opened. */
export interface Transaction {
  /**
   * Everything that `postgres` can do in a transaction but two-phase commit. Statements are sent one at a time, in the
   * order in which they were begun. A statement's own error is the driver's; one that never ran because the database
   * was away fails with UnavailableError, one after the end with code `transaction_ended`.
   */
  readonly sql: TransactionSql;
  readonly state: 'unopened' | 'open' | 'ended';
  /** Why the database could not do its part: the connection was not to be had, or was lost. Null while it could. */
  readonly outage: Error | null;
  /**
   * Waits for statements under way, then commits; does nothing where none was made. Throws UnavailableError when the
   * outcome is unknown, and an error of code `transaction_aborted` when an earlier statement had failed, for then
   * PostgreSQL rolls back without a word.
   */
  commit(): Promise<void>;
  /** Never throws and never waits for a statement: the connection of one that is under way is destroyed. */
  rollback(): Promise<void>;
}

/** What a database tells about itself between calls. Said at the change, not at every failed try. */
export type DatabaseNotice =
  | { readonly kind: 'connection_lost'; readonly error: Error }
  | { readonly kind: 'connection_ready'; readonly error: null };
