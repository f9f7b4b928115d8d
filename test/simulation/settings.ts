import type { Millis } from '../../src/runtime/clock.ts';
import type { Nature } from './observer.ts';

/** Small, so that a run is short; by the same proportions as what is shipped. */
const retries = {
  max_retries: 3,
  retry_delay_seconds: 0.5,
  max_backoff_seconds: 2,
  handler_timeout_seconds: 2.5,
  circuit_breaker_threshold: 20,
  circuit_breaker_reset_seconds: 1,
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
    lease_ttl_seconds: 3,
    retry: { max_attempts: 3, base_delay_seconds: 0.5, max_backoff_seconds: 2 },
  },
  server: {
    default_subscription_type: 'stream',
    stream_subscription: {
      ...retries,
      messages_per_tick: 4,
      blocking_timeout_ms: 2_000,
      concurrency: 4,
      min_idle_ms: 3_000,
      heartbeat_interval_ms: 1_000,
      reclaim_interval_ms: 1_000,
    },
    event_store_subscription: {
      ...retries,
      messages_per_tick: 4,
      concurrency: 4,
      recovery_interval_seconds: 0.5,
      lease_ttl_seconds: 3,
      gap_timeout_seconds: 1,
      position_update_interval: 3,
    },
    partitioning: {
      lease_ttl_ms: 3_000,
      heartbeat_interval_seconds: 1,
      poll_interval_seconds: 1,
      reap_idle_ms: 4_000,
    },
  },
};

/**
 * How long the daemons may take to have handled all there is, from the last trouble on: leases and consumers of the dead
 * run out, what waits is tried again, and what is behind the slow and the endless of one key waits for each of them.
 */
export function recoveryBoundMs(natures: readonly Nature[]): Millis {
  const count = (nature: Nature) => natures.filter((each) => each === nature).length;
  const { endless, slow, failing } = eachMs;
  const tried = count('flaky') + count('poison') + count('refused_once') + count('refused');
  return baseMs + endless * count('endless') + slow * count('slow') + failing * tried;
}

/** Until each killer is given up, it is a trouble itself: a process starts, takes over what the dead one had, and dies. */
export const killerMs: Millis = 25_000;

const baseMs: Millis = 20_000;
const eachMs = { endless: 3 * 2_500 + 3_000, slow: 2_500, failing: 3_000 };
