import type { ServerConfig } from './config.ts';
import { leaseTimes } from './normalize-outbox.ts';
import type { PartitioningConfig } from './partitioning-config.ts';
import type { QuickRetryConfig, RetryRule } from './retry-config.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';
import type { SureReader } from './sure-reader.ts';

/** `[server]`. */
export function normalizeServer(reader: SureReader, layers: SubscriptionLayers): ServerConfig {
  const { text, number, millis, flag, maybe } = reader;
  const http = (name: 'health' | 'ingress') => ({
    enabled: flag('server', name, 'enabled'),
    host: text('server', name, 'host'),
    port: number('server', name, 'port'),
  });
  return {
    workers: number('server', 'workers'),
    drainTimeoutMs: millis('server', 'drain_timeout_seconds'),
    startupTimeoutMs: millis('server', 'startup_timeout_seconds'),
    maxLingeringHandlers: number('server', 'max_lingering_handlers'),
    stall: {
      reportAfterMs: millis('server', 'stall_report_seconds'),
      exitAfterMs: millis('server', 'stall_exit_seconds') || null,
    },
    health: http('health'),
    ingress: {
      ...http('ingress'),
      token: maybe.text(['server', 'ingress', 'token']),
      maxBodyBytes: number('server', 'ingress', 'max_body_bytes'),
    },
    dlq: {
      enabled: flag('server', 'dlq', 'enabled'),
      retentionMs: millis('server', 'dlq', 'retention_hours'),
      alertThreshold: number('server', 'dlq', 'alert_threshold'),
      checkEveryMs: millis('server', 'dlq', 'check_interval_seconds'),
    },
    lanes: flag('server', 'priority_lanes', 'enabled')
      ? {
          threshold: number('server', 'priority_lanes', 'threshold'),
          suffix: text('server', 'priority_lanes', 'backfill_suffix'),
        }
      : null,
    partitioning: partitioningOf(reader),
    versionRetry: flag('server', 'version_retry', 'enabled')
      ? quickRetry(reader, 'version_retry', 'exponential')
      : null,
    transientRetry: flag('server', 'transient_retry', 'enabled')
      ? {
          ...quickRetry(reader, 'transient_retry', text('server', 'transient_retry', 'backoff')),
          exceptions: reader.texts('server', 'transient_retry', 'exceptions'),
        }
      : null,
    retryRules: retryRules(reader),
    subscriptionLease: leaseTimes(millis('server', 'event_store_subscription', 'lease_ttl_seconds')),
    subscriptions: layers,
  };
}

/** A heartbeat that is not stated fits into the time to live. */
function partitioningOf({ stated, millis }: SureReader): PartitioningConfig {
  const leaseTtlMs = millis('server', 'partitioning', 'lease_ttl_ms');
  const heartbeatMs = millis('server', 'partitioning', 'heartbeat_interval_seconds');
  const isStated = stated(['server', 'partitioning', 'heartbeat_interval_seconds']) !== undefined;
  return {
    leaseTtlMs,
    heartbeatEveryMs: isStated ? heartbeatMs : Math.min(heartbeatMs, Math.floor(leaseTtlMs / 3)),
    pollEveryMs: millis('server', 'partitioning', 'poll_interval_seconds'),
    reapIdleMs: millis('server', 'partitioning', 'reap_idle_ms'),
  };
}

function quickRetry({ number, millis }: SureReader, table: string, growth: string): QuickRetryConfig {
  const baseMs = millis('server', table, 'base_delay_seconds');
  return {
    maxRetries: number('server', table, 'max_retries'),
    baseMs,
    maxMs: Math.max(baseMs, millis('server', table, 'max_delay_seconds')),
    growth: growth === 'linear' || growth === 'fixed' ? growth : 'exponential',
  };
}

function retryRules({ names, text, maybe }: SureReader): ReadonlyMap<string, RetryRule> {
  const rules = names(['server', 'retry']).map((name): [string, RetryRule] => {
    const action = text('server', 'retry', name, 'action');
    return [
      name,
      {
        maxAttempts: maybe.number(['server', 'retry', name, 'max_retries']),
        delayMs: maybe.millis(['server', 'retry', name, 'retry_delay_seconds']),
        factor: maybe.number(['server', 'retry', name, 'backoff_multiplier']),
        maxDelayMs: maybe.millis(['server', 'retry', name, 'max_backoff_seconds']),
        action: action === 'dead_letter' || action === 'discard' ? action : 'retry',
      },
    ];
  });
  return new Map(rules);
}
