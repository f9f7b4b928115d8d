import type { Millis } from '../runtime/clock.ts';
import type { LanesConfig, LeaseTimes, OutboxConfig } from './config.ts';
import type { SureReader } from './sure-reader.ts';

/** `[outbox]`. A default gives way where it would contradict what the file states. */
export function normalizeOutbox(reader: SureReader, lanes: LanesConfig | null): OutboxConfig {
  const { text, texts, number, millis, flag, maybe } = reader;
  const pollEveryMs = millis('outbox', 'tick_interval');
  const replicas = number('outbox', 'publish_wait_replicas');
  const ordering = text('outbox', 'ordering');
  return {
    broker: text('outbox', 'broker'),
    externalBrokers: texts('outbox', 'external_brokers'),
    batchSize: number('outbox', 'messages_per_tick'),
    pollEveryMs,
    maxPollEveryMs: maybe.millis(['outbox', 'max_tick_interval']) ?? pollEveryMs,
    ordering: ordering === 'none' ? 'none' : 'stream',
    retry: { maxAttempts: number('outbox', 'retry', 'max_attempts'), backoff: backoffOf(reader) },
    cleanup: {
      publishedRetentionMs: millis('outbox', 'cleanup', 'published_retention_hours'),
      abandonedRetentionMs: millis('outbox', 'cleanup', 'abandoned_retention_hours'),
      batchSize: number('outbox', 'cleanup', 'batch_size'),
      everyMs: millis('outbox', 'cleanup', 'interval_seconds'),
    },
    maxMessageBytes: number('outbox', 'max_message_bytes'),
    maxBatchBytes: Math.max(number('outbox', 'max_batch_bytes'), number('outbox', 'max_message_bytes')),
    publishWait: replicas === 0 ? null : { replicas, timeoutMs: millis('outbox', 'publish_wait_timeout_ms') },
    hint: flag('outbox', 'hint'),
    lease: leaseTimes(leaseTtlMs(reader)),
    lanes,
  };
}

function backoffOf({ number, millis, flag }: SureReader): OutboxConfig['retry']['backoff'] {
  const baseMs = millis('outbox', 'retry', 'base_delay_seconds');
  return {
    baseMs,
    factor: number('outbox', 'retry', 'backoff_multiplier'),
    maxMs: Math.max(baseMs, millis('outbox', 'retry', 'max_backoff_seconds')),
    jitter: flag('outbox', 'retry', 'jitter') ? number('outbox', 'retry', 'jitter_factor') : 0,
  };
}

/** A relay that waits for a slow broker must not outlive its lease. */
function leaseTtlMs({ stated, millis, text, maybe }: SureReader): Millis {
  const ttlMs = millis('outbox', 'lease_ttl_seconds');
  if (stated(['outbox', 'lease_ttl_seconds']) !== undefined) return ttlMs;
  const waitMs = maybe.millis(['brokers', text('outbox', 'broker'), 'socket_timeout']) ?? 0;
  return Math.max(ttlMs, Math.ceil(waitMs * 1.5));
}

/** Three renewals in a time to live, so that one may be lost; trust ends a tenth before the store's expiry. */
export const leaseTimes = (ttlMs: Millis): LeaseTimes => ({
  ttlMs,
  renewEveryMs: Math.floor(ttlMs / 3),
  marginMs: Math.ceil(ttlMs / 10),
});
