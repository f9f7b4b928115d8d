import type { Millis } from '../runtime/clock.ts';

/** Owners of partitions of a stream that is handled in order by key. */
export interface PartitioningConfig {
  readonly leaseTtlMs: Millis;
  readonly heartbeatEveryMs: Millis;
  /** How often a worker looks for partitions that nobody owns. */
  readonly pollEveryMs: Millis;
  /** A partition that is empty and untouched for so long leaves the index. */
  readonly reapIdleMs: Millis;
}
