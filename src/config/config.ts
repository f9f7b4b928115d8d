import type { Json } from '../message/message.ts';
import type { BackoffPolicy } from '../runtime/backoff.ts';
import type { Millis } from '../runtime/clock.ts';
import type { PartitioningConfig } from './partitioning-config.ts';
import type { BreakerConfig, QuickRetryConfig, RetryRule } from './retry-config.ts';
import type { CacheConfig, IdempotencyConfig, InboxConfig, SchemasConfig } from './store-config.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';

/** domain.toml as the daemon understands it: overlay, variables and defaults applied, all times in ms, all paths absolute. */
export interface Config {
  /** The file it was read from, absolute. */
  readonly file: string;
  /** The overlay that was asked for, or null. */
  readonly env: string | null;
  readonly domain: DomainConfig;
  readonly eventProcessing: 'async' | 'sync';
  readonly commandProcessing: 'async' | 'sync';
  readonly messageProcessing: 'async' | 'sync';
  readonly handlers: HandlersConfig;
  readonly databases: ReadonlyMap<string, DatabaseConfig>;
  readonly brokers: ReadonlyMap<string, BrokerConfig>;
  readonly eventStore: EventStoreConfig;
  /** Null when `enable_outbox` is false. */
  readonly outbox: OutboxConfig | null;
  readonly server: ServerConfig;
  readonly logging: LoggingConfig;
  readonly telemetry: TelemetryConfig;
  readonly idempotency: IdempotencyConfig;
  readonly inbox: InboxConfig;
  readonly caches: ReadonlyMap<string, CacheConfig>;
  readonly schemas: SchemasConfig;
  /** Events of an event-sourced aggregate after which a snapshot is taken. */
  readonly snapshotThreshold: number;
  /** The `[custom]` table, frozen: `ctx.config`. */
  readonly custom: { readonly [key: string]: Json };
  /** Keys that the file states and that this version reads but does not act on, as `[table] key`. */
  readonly withoutEffect: readonly string[];
}

export interface DomainConfig {
  /** As written. */
  readonly name: string;
  /** `book_shop`: in streams and groups. */
  readonly normalized: string;
  /** `BookShop`: in types. */
  readonly camel: string;
}

export interface HandlersConfig {
  /** Files or folders, absolute. Empty when the file names none. */
  readonly paths: readonly string[];
  readonly importTimeoutMs: Millis;
}

export type DatabaseConfig =
  | { readonly provider: 'memory'; readonly name: string }
  | {
      readonly provider: 'postgresql';
      readonly name: string;
      /** Holds a password: never logged. */
      readonly uri: string;
      /** Past a connection pooler, for what needs a session of its own; null: `uri` does. Holds a password. */
      readonly directUri: string | null;
      readonly schema: string;
      readonly poolSize: number;
      readonly maxOverflow: number;
      readonly connectTimeoutMs: Millis;
      /** The bound of every statement of the daemon itself; past it the connection is destroyed. */
      readonly statementTimeoutMs: Millis;
    };

export type BrokerConfig =
  | { readonly provider: 'inline'; readonly name: string }
  | {
      readonly provider: 'redis' | 'redis_pubsub';
      readonly name: string;
      /** Holds a password: never logged. */
      readonly uri: string;
      readonly connectTimeoutMs: Millis;
      /** The bound of every command; a blocking read adds its block time. Past it the socket is destroyed. */
      readonly commandTimeoutMs: Millis;
      readonly maxConnections: number | null;
      /** Names become `{category}…`, so that a stream, its dead letters and its leases share a slot. */
      readonly hashTag: boolean;
      /** Null when the URI is not `rediss://`. */
      readonly tls: TlsConfig | null;
    };

/** Files are absolute; null for what the system trusts, or for no client certificate. */
export interface TlsConfig {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  /** Takes any certificate: the connection is encrypted, but to whom is not known. */
  readonly insecureSkipVerify: boolean;
}

export type EventStoreConfig =
  | { readonly provider: 'memory' }
  | { readonly provider: 'message_db'; readonly uri: string; readonly maxConnections: number };

export interface OutboxConfig {
  /** The broker of rows that name none. */
  readonly broker: string;
  readonly externalBrokers: readonly string[];
  /** Rows a batch. */
  readonly batchSize: number;
  /** The poll that does not rely on any hint. */
  readonly pollEveryMs: Millis;
  readonly maxPollEveryMs: Millis;
  /** `stream`: a refused row holds back the later rows of its stream. `none`: it holds back nothing. */
  readonly ordering: 'stream' | 'none';
  readonly retry: { readonly maxAttempts: number; readonly backoff: BackoffPolicy };
  readonly cleanup: {
    readonly publishedRetentionMs: Millis;
    readonly abandonedRetentionMs: Millis;
    readonly batchSize: number;
    readonly everyMs: Millis;
  };
  /** Rows with larger bodies are abandoned with a reason. */
  readonly maxMessageBytes: number;
  readonly maxBatchBytes: number;
  /** Replicas of the broker that must have a batch before it counts as published; null: none need to. */
  readonly publishWait: { readonly replicas: number; readonly timeoutMs: Millis } | null;
  /** Whether writers may wake a sleeping relay with NOTIFY. */
  readonly hint: boolean;
  readonly lease: LeaseTimes;
  readonly lanes: LanesConfig | null;
}

export interface LeaseTimes {
  readonly ttlMs: Millis;
  readonly renewEveryMs: Millis;
  readonly marginMs: Millis;
}

export interface LanesConfig {
  /** Rows with a priority below this go to the backfill lane. */
  readonly threshold: number;
  readonly suffix: string;
}

export interface ServerConfig {
  readonly workers: number;
  readonly drainTimeoutMs: Millis;
  readonly startupTimeoutMs: Millis;
  readonly maxLingeringHandlers: number;
  /** How long the event loop may stand still before that is said, and before the process ends; null: it does not. */
  readonly stall: { readonly reportAfterMs: Millis; readonly exitAfterMs: Millis | null };
  readonly health: HttpConfig;
  readonly ingress: IngressConfig;
  readonly dlq: {
    readonly enabled: boolean;
    readonly retentionMs: Millis;
    readonly alertThreshold: number;
    readonly checkEveryMs: Millis;
  };
  readonly lanes: LanesConfig | null;
  readonly partitioning: PartitioningConfig;
  /** Quick retries inside one attempt when an aggregate changed between reading and writing it; null: none. */
  readonly versionRetry: QuickRetryConfig | null;
  /** Quick retries inside one attempt of the errors named in `exceptions`; null: none. */
  readonly transientRetry: (QuickRetryConfig & { readonly exceptions: readonly string[] }) | null;
  /** `[server.retry.<ErrorName>]`: what to do with an error of that class or code, before the subscription's policy. */
  readonly retryRules: ReadonlyMap<string, RetryRule>;
  /** Of subscriptions of the event store, which have one owner each. */
  readonly subscriptionLease: LeaseTimes;
  /** What `resolveSubscription` layers: read it through that function only. */
  readonly subscriptions: SubscriptionLayers;
}

export interface HttpConfig {
  readonly enabled: boolean;
  readonly host: string;
  /** 0: any free port, which the start log names. */
  readonly port: number;
}

export interface IngressConfig extends HttpConfig {
  /** Needed unless `host` is loopback. */
  readonly token: string | null;
  readonly maxBodyBytes: number;
}

export interface LoggingConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly format: 'auto' | 'console' | 'json';
  readonly redact: readonly string[];
  readonly slowHandlerThresholdMs: Millis;
}

export interface TelemetryConfig {
  readonly enabled: boolean;
  readonly serviceName: string;
  readonly exporter: string;
  readonly endpoint: string | null;
  readonly resourceAttributes: { readonly [name: string]: Json };
}

export type SubscriptionType = 'stream' | 'event_store';

/** How one handler is fed. */
export interface SubscriptionConfig {
  readonly type: SubscriptionType;
  /** The field of the payload whose values are partitions, handled in order each; null for none. */
  readonly sequentialBy: string | null;
  /** The profile in force, or null. */
  readonly profile: string | null;
  readonly batchSize: number;
  /** A rest between reads; 0 for none. */
  readonly tickMs: Millis;
  /** How long a read waits for the first entry. */
  readonly blockMs: Millis;
  /** Handlers of this subscription that run at once, across aggregates; within one they keep their order. */
  readonly concurrency: number;
  readonly handlerTimeoutMs: Millis;
  readonly retry: RetryConfig;
  readonly breaker: BreakerConfig;
  /** Entries untouched for so long are taken over from their consumer; at least three heartbeats. */
  readonly minIdleMs: Millis;
  readonly heartbeatEveryMs: Millis;
  /** How often entries of dead consumers are looked for. */
  readonly reclaimEveryMs: Millis;
  /** Event store: messages between two writes of the position. */
  readonly positionUpdateInterval: number;
  /** Event store: the least wait before a message that failed is tried again; null: it is not. */
  readonly recoverEveryMs: Millis | null;
  /** Event store: how long a gap in the positions is waited for where it is not known who may fill it. */
  readonly gapTimeoutMs: Millis;
  /** Event store: only messages that a message of this stream or category has caused; null for all. */
  readonly originStream: string | null;
  /** A wish: trimming never removes what a group has not acknowledged. Null for none. */
  readonly retentionMaxlen: number | null;
  /** For `subscriptions status` and `config show --origin`: each setting's value in the file's unit, and its layer. */
  readonly origins: ReadonlyMap<string, { readonly value: string | number | boolean; readonly origin: string }>;
}

export interface RetryConfig {
  /** Attempts in all before a message is given up. */
  readonly maxAttempts: number;
  /** Crashes of the process with this message in hand before it is given up. */
  readonly maxCrashes: number;
  readonly backoff: BackoffPolicy;
  /** What becomes of a message that is given up. */
  readonly onExhausted: 'dead_letter' | 'discard' | 'halt';
  /** `[server.retry.<name>]`, by class or code of the error: goes before the rest of this. */
  readonly rules: ReadonlyMap<string, RetryRule>;
}
