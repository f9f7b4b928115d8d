import type { Random } from './runtime/clock.ts';

/** domain.toml of a test in memory. */
export const embedded = {
  enable_outbox: true,
  databases: { default: { provider: 'memory' } },
  brokers: { default: { provider: 'inline' } },
  event_store: { provider: 'memory' },
  server: {
    default_subscription_type: 'stream',
    // One process, which hears of everything: to look again and again would only cost the clock's time.
    partitioning: { poll_interval_seconds: 60, heartbeat_interval_seconds: 1_200, lease_ttl_ms: 3_600_000 },
  },
};

/** Where nobody waits for a clock of the test's: retries soon, and reads that a stop does not wait for. */
export const onServers = {
  default_subscription_type: 'stream',
  stream_subscription: { blocking_timeout_ms: 100 },
  broker_subscription: { blocking_timeout_ms: 100 },
};

/** The same numbers in every run, so that a test sees the same delays. Lehmer's generator. */
export function seeded(): Random {
  let state = 42;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Where the lines of handlers go in a test. */
export const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

type Settings = { readonly [key: string]: unknown };

/** One laid over the other as overlays of domain.toml are: tables merge, all else replaces. */
export function laidOver(below: Settings, above: Settings): Settings {
  const merged = new Map(Object.entries(below));
  for (const [key, value] of Object.entries(above)) {
    const under = merged.get(key);
    merged.set(key, isSettings(under) && isSettings(value) ? laidOver(under, value) : value);
  }
  return Object.fromEntries(merged);
}

const isSettings = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
