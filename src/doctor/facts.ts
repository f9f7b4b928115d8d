import type { Problem } from '../outbox/schema/check.ts';
import type { Millis } from '../runtime/clock.ts';

/** Why nothing is known: the error's stable code, and its text. */
export interface Unreached {
  readonly code: string;
  readonly message: string;
  /** Whether waiting may mend it. */
  readonly away: boolean;
}

/** A Redis server as it describes itself; null for what it does not tell us. */
export interface RedisServerFacts {
  readonly version: string | null;
  readonly role: string | null;
  readonly replicas: number;
  readonly evictionPolicy: string | null;
  readonly appendOnly: boolean | null;
  /** `save` points: whether snapshots are taken at all. */
  readonly snapshots: boolean | null;
  readonly lastSnapshotFailed: boolean;
  readonly lastAppendFailed: boolean;
  readonly usedBytes: number | null;
  /** Null: no limit is set. */
  readonly maxBytes: number | null;
  /** The memory of its machine. */
  readonly systemBytes: number | null;
  /** Its clock less ours, over half of a round trip; and that half. */
  readonly skewMs: Millis;
  readonly skewErrorMs: Millis;
  /** What it said to a write that changes nothing; null: it would take it. */
  readonly refusal: string | null;
  /** Commands that our user may not run. */
  readonly forbidden: readonly string[];
  readonly encrypted: boolean;
  readonly local: boolean;
}

export interface BrokerFacts {
  readonly name: string;
  readonly provider: 'redis' | 'redis_pubsub';
  readonly server: RedisServerFacts | Unreached;
  /** Whether only other domains read from it: rows for it wait, everything else goes on without it. */
  readonly foreign: boolean;
  readonly streams: readonly StreamFacts[];
}

export interface StreamFacts {
  readonly stream: string;
  /** Whether it is there at all. */
  readonly exists: boolean;
  readonly length: number;
  /** Entries that were ever added to it; null where the server does not count them (before Redis 7). */
  readonly added: number | null;
  readonly groups: readonly GroupFacts[];
  /** Of all handlers that read it the largest wish; null: none. */
  readonly retention: number | null;
  /** The groups of the handlers that read it. */
  readonly wanted: readonly WantedGroup[];
  readonly deadLetters: number;
  /** What the newest of them was given up for. */
  readonly lastCause: string | null;
}

export interface WantedGroup {
  readonly handler: string;
  readonly group: string;
  /** A consumer that has not asked for so long is dead. */
  readonly aliveMs: Millis;
}

export interface GroupFacts {
  readonly group: string;
  readonly pending: number;
  /** Entries that it has ever read; null where the server does not know. */
  readonly read: number | null;
  /** Null where the server does not know. */
  readonly lag: number | null;
  readonly consumers: readonly ConsumerFacts[];
  /** The pending entry that was delivered most often. */
  readonly worst: WorstEntry | null;
}

export interface ConsumerFacts {
  readonly name: string;
  readonly pending: number;
  readonly idleMs: Millis;
}

export interface WorstEntry {
  readonly id: string;
  readonly consumer: string;
  readonly deliveries: number;
  /** Failures that were noted, and the last of them. */
  readonly failures: number;
  readonly lastError: string | null;
  readonly crashes: number;
}

export interface DatabaseFacts {
  readonly name: string;
  readonly state: DatabaseState | Unreached;
}

export interface DatabaseState {
  readonly server: string;
  readonly problems: readonly Problem[];
  readonly encrypted: boolean;
  readonly local: boolean;
  /** Whether a connection pooler is between. */
  readonly pooled: boolean;
  /** Whether `direct_uri` goes past it. */
  readonly direct: boolean;
  /** Why notifications are not heard; null where they are, or where nobody listens. */
  readonly deaf: string | null;
  readonly skewMs: Millis;
  readonly skewErrorMs: Millis;
  readonly outboxes: readonly OutboxFacts[];
}

export interface OutboxFacts {
  /** Where its rows go. */
  readonly broker: string;
  readonly pending: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly oldestPendingMs: Millis | null;
  /** Relays that hold a shard of it now. */
  readonly owners: readonly string[];
  /** What a failed or abandoned row was refused with last. */
  readonly lastError: string | null;
}

export const isUnreached = (state: object): state is Unreached => 'away' in state;
