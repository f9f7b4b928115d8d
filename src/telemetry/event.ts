import type { Millis } from '../runtime/clock.ts';
import type { FaultEvent } from './fault-event.ts';
import type { WorkerEvent } from './worker-event.ts';

interface AboutDelivery {
  readonly subscription: string;
  readonly stream: string;
  readonly group: string;
  readonly entry_id: string;
  /** Null where the entry could not be decoded. */
  readonly message_id: string | null;
  readonly message_type: string | null;
  readonly correlation_id: string | null;
  readonly attempt: number;
}

/**
 * Everything worth knowing about a running daemon. The `event` is the log line's message, the other fields are its
 * keys, and the metrics are counted from the same facts: see log.ts and metrics.ts. No payload, no secret, ever.
 */
export type TelemetryEvent =
  | FaultEvent
  | WorkerEvent
  // the process
  | { readonly event: 'daemon.started'; readonly domain: string; readonly version: string; readonly pid: number }
  | { readonly event: 'daemon.ready'; readonly duration_ms: Millis }
  | { readonly event: 'daemon.draining'; readonly reason: string; readonly grace_ms: Millis }
  | { readonly event: 'daemon.drain_expired'; readonly reason: string }
  | { readonly event: 'daemon.stopped'; readonly duration_ms: Millis }
  | { readonly event: 'config.key_without_effect'; readonly keys: readonly string[] }
  | { readonly event: 'config.warned'; readonly warning: string }
  | { readonly event: 'service.failed'; readonly service: string; readonly err: Error }
  | {
      readonly event: 'loop.failed';
      readonly loop: string;
      readonly failures: number;
      readonly retry_in_ms: Millis;
      readonly err: Error;
    }
  | { readonly event: 'loop.recovered'; readonly loop: string; readonly failures: number }
  | { readonly event: 'loop.stepped'; readonly loop: string }
  /** From here to `loop.ended` a step is awaited at least every `bound_ms`: what `/livez` rests on. */
  | { readonly event: 'loop.started'; readonly loop: string; readonly bound_ms: Millis }
  | { readonly event: 'loop.ended'; readonly loop: string }
  // connections
  | { readonly event: 'connection.lost'; readonly connection: string; readonly err: Error | null }
  | { readonly event: 'connection.restored'; readonly connection: string }
  // leases
  | {
      readonly event: 'lease.acquired' | 'lease.lost' | 'lease.released';
      readonly lease: string;
      readonly owner: string;
    }
  | { readonly event: 'lease.failed'; readonly lease: string; readonly err: Error }
  // the outbox
  /** Writers are heard: rows are relayed as they are committed. */
  | { readonly event: 'hint.ready'; readonly database: string }
  /** They are not: rows are relayed by polling alone. */
  | { readonly event: 'hint.lost'; readonly database: string; readonly err: Error }
  | {
      readonly event: 'outbox.batch_published';
      readonly database: string;
      readonly broker: string;
      readonly count: number;
      readonly duration_ms: Millis;
    }
  | {
      readonly event: 'outbox.row_published';
      readonly database: string;
      readonly broker: string;
      readonly stream: string;
      readonly message_id: string;
      readonly lag_ms: Millis;
    }
  | {
      readonly event: 'outbox.row_refused';
      readonly database: string;
      readonly broker: string;
      readonly stream: string;
      readonly message_id: string;
      readonly attempt: number;
      readonly reason: string;
      readonly retry_in_ms: Millis;
    }
  | {
      readonly event: 'outbox.row_abandoned';
      readonly database: string;
      readonly broker: string;
      readonly stream: string;
      readonly message_id: string;
      readonly attempt: number;
      readonly reason: string;
    }
  /** The number of shards was changed while the daemon ran: its relays start over with it. */
  | { readonly event: 'outbox.resharded'; readonly database: string; readonly broker: string; readonly shards: number }
  | { readonly event: 'outbox.rows_purged'; readonly database: string; readonly count: number }
  // subscriptions
  | {
      readonly event: 'subscription.started' | 'subscription.stopped';
      readonly subscription: string;
      readonly stream: string;
      readonly group: string;
    }
  /** Another replica owns it: this one takes over when that one goes. */
  | {
      readonly event: 'subscription.standing_by';
      readonly subscription: string;
      readonly stream: string;
      readonly group: string;
    }
  /**
   * A message of the event store may yet be committed at this position, by the transaction that is named as far as the
   * server tells; what lies behind it waits. Said again every half minute.
   */
  | {
      readonly event: 'gap.waiting';
      readonly subscription: string;
      readonly stream: string;
      readonly position: string;
      readonly pid: number | null;
      readonly application: string | null;
      readonly user: string | null;
      /** Of the transaction; null where it is not to be seen. */
      readonly age_ms: Millis | null;
      readonly waited_ms: Millis;
    }
  | { readonly event: 'gap.closed'; readonly subscription: string; readonly stream: string; readonly waited_ms: Millis }
  /** Waited for in vain: what is committed there later is missed. */
  | {
      readonly event: 'gap.abandoned';
      readonly subscription: string;
      readonly stream: string;
      readonly positions: readonly string[];
    }
  | { readonly event: 'deliveries.read'; readonly subscription: string; readonly count: number }
  | { readonly event: 'delivery.started'; readonly subscription: string }
  /** Its handler returned, threw or was cut short: one for each `delivery.started`, before what became of it. */
  | { readonly event: 'delivery.ended'; readonly subscription: string }
  | (AboutDelivery & {
      readonly event: 'delivery.handled';
      readonly outcome: 'ok' | 'duplicate' | 'skipped';
      readonly duration_ms: Millis;
      /** From raised to handled; null where the message says no time. */
      readonly lag_ms: Millis | null;
    })
  | (AboutDelivery & {
      readonly event: 'delivery.retried';
      readonly retry_in_ms: Millis;
      readonly duration_ms: Millis;
      readonly err: Error;
    })
  | (AboutDelivery & {
      readonly event: 'delivery.postponed';
      readonly retry_in_ms: Millis;
      readonly duration_ms: Millis;
      readonly err: Error;
    })
  | (AboutDelivery & {
      readonly event: 'delivery.dead_lettered' | 'delivery.discarded' | 'delivery.halted';
      readonly duration_ms: Millis;
      readonly err: Error;
    })
  | (AboutDelivery & { readonly event: 'delivery.disowned' | 'delivery.given_back' | 'delivery.suspected' })
  | { readonly event: 'deliveries.reclaimed'; readonly subscription: string; readonly count: number }
  | {
      readonly event: 'entries.lost';
      readonly subscription: string;
      readonly stream: string;
      readonly entry_ids: readonly string[];
    }
  /** Kept longer than `[server.dlq] retention_hours`. */
  | { readonly event: 'dead_letters.expired'; readonly broker: string; readonly stream: string; readonly count: number }
  /** Once, until there are fewer than `[server.dlq] alert_threshold` again. */
  | {
      readonly event: 'dead_letters.above_threshold' | 'dead_letters.below_threshold';
      readonly broker: string;
      readonly stream: string;
      readonly count: number;
      readonly threshold: number;
    }
  /** Keys of the partitions that came to this process or left it, and how many it has; one that is blocked stands still. */
  | {
      readonly event: 'partitions.changed';
      readonly subscription: string;
      readonly stream: string;
      readonly group: string;
      readonly owned: number;
      readonly blocked: number;
      readonly acquired: number;
      readonly released: number;
      readonly lost: number;
      readonly reaped: number;
    }
  /** One of them cannot be read; the others are not concerned. */
  | {
      readonly event: 'partition.failed';
      readonly subscription: string;
      readonly stream: string;
      readonly err: Error;
    }
  | { readonly event: 'group.recreated'; readonly stream: string; readonly group: string }
  | { readonly event: 'breaker.opened' | 'breaker.half_opened' | 'breaker.closed'; readonly subscription: string }
  // http
  | {
      readonly event: 'http.listening';
      readonly server: 'health' | 'ingress';
      readonly host: string;
      readonly port: number;
    }
  | {
      readonly event: 'ingress.accepted';
      readonly kind: 'command' | 'event' | 'stream';
      readonly stream: string;
      readonly message_id: string;
    }
  | { readonly event: 'ingress.refused'; readonly status: number; readonly reason: string }
  | { readonly event: 'http.failed'; readonly server: 'health' | 'ingress'; readonly err: Error }
  // telemetry itself
  /** Log lines that could not be written: the reader is too slow or gone, or the disk is full. */
  | { readonly event: 'log.lines_dropped'; readonly count: number };

export type EventName = TelemetryEvent['event'];

/** The fact of that name; distributes over facts that share a shape. */
export type EventOf<Name extends EventName, Fact extends TelemetryEvent = TelemetryEvent> = Fact extends {
  readonly event: infer Names;
}
  ? Name extends Names
    ? Fact & { readonly event: Name }
    : never
  : never;

/** How a station says what it did. Synchronous and cheap; never throws. */
export type Emit = (event: TelemetryEvent) => void;
