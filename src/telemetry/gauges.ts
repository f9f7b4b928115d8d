import type { Millis } from '../runtime/clock.ts';

/** What is not counted as it happens but looked up from time to time: the state of the outboxes, groups and dead letters. */
export interface Gauges {
  readonly outboxes: readonly OutboxGauges[];
  readonly subscriptions: readonly SubscriptionGauges[];
  readonly deadLetters: readonly DeadLetterGauges[];
}

export interface OutboxGauges {
  readonly database: string;
  readonly broker: string;
  readonly pending: number;
  readonly abandoned: number;
  /** Null where nothing is pending. */
  readonly oldestPendingMs: Millis | null;
}

/** Null where the source does not know. */
export interface SubscriptionGauges {
  readonly handler: string;
  readonly stream: string;
  readonly lag: number | null;
  readonly lagMs: Millis | null;
  readonly pending: number | null;
  readonly oldestPendingMs: Millis | null;
}

export interface DeadLetterGauges {
  readonly stream: string;
  readonly count: number;
}
