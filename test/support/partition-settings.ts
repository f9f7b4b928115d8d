import type { SubscriptionConfig } from '../../src/config/config.ts';

/** How a handler that keeps the order of its keys is fed, unless told otherwise. */
export const partitionSettings = (changes: Partial<SubscriptionConfig> = {}): SubscriptionConfig => ({
  type: 'stream',
  sequentialBy: 'customer',
  originStream: null,
  profile: null,
  batchSize: 10,
  tickMs: 0,
  blockMs: 1_000,
  concurrency: 8,
  handlerTimeoutMs: 60_000,
  retry: {
    maxAttempts: 3,
    maxCrashes: 3,
    backoff: { baseMs: 200, factor: 2, maxMs: 10_000, jitter: 0 },
    onExhausted: 'halt',
    rules: new Map(),
  },
  breaker: { threshold: 100, resetAfterMs: 5_000 },
  minIdleMs: 3_000,
  heartbeatEveryMs: 1_000,
  reclaimEveryMs: 1_000,
  positionUpdateInterval: 10,
  recoverEveryMs: 30_000,
  gapTimeoutMs: 5_000,
  retentionMaxlen: null,
  origins: new Map(),
  ...changes,
});
