import type { Millis } from '../../src/runtime/clock.ts';

/** Small, so that a run is short; by the same proportions as what is shipped. */
const retries = {
  max_retries: 3,
  retry_delay_seconds: 1,
  max_backoff_seconds: 4,
  handler_timeout_seconds: 5,
  circuit_breaker_threshold: 20,
  circuit_breaker_reset_seconds: 2,
  on_poison: 'dead_letter',
};

/** domain.toml of every replica in the simulation. */
export const settings = {
  name: 'shop',
  enable_outbox: true,
  databases: { default: { provider: 'memory' } },
  brokers: { default: { provider: 'inline' } },
  event_store: { provider: 'memory' },
  outbox: {
    messages_per_tick: 4,
    tick_interval: 0.5,
    max_tick_interval: 1,
    lease_ttl_seconds: 6,
    retry: { max_attempts: 3, base_delay_seconds: 1, max_backoff_seconds: 4 },
  },
  server: {
    default_subscription_type: 'stream',
    stream_subscription: {
      ...retries,
      messages_per_tick: 4,
      blocking_timeout_ms: 2_000,
      concurrency: 4,
      min_idle_ms: 6_000,
      heartbeat_interval_ms: 2_000,
      reclaim_interval_ms: 2_000,
    },
    event_store_subscription: {
      ...retries,
      messages_per_tick: 4,
      concurrency: 4,
      recovery_interval_seconds: 1,
      lease_ttl_seconds: 6,
      gap_timeout_seconds: 2,
      position_update_interval: 3,
    },
    partitioning: {
      lease_ttl_ms: 6_000,
      heartbeat_interval_seconds: 1.5,
      poll_interval_seconds: 0.5,
      reap_idle_ms: 8_000,
    },
  },
};

/** How long the daemons may take, once nothing goes wrong any more, to have handled all there is. */
export const recoveryBoundMs: Millis = 60_000;
