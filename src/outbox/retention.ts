import type { OutboxConfig } from '../config/config.ts';
import type { Clock } from '../runtime/clock.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Emit } from '../telemetry/event.ts';
import type { OutboxStore } from './outbox.ts';

export interface RetentionDeps {
  readonly store: OutboxStore;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly loop: LoopOptions;
}

/**
 * Deletes rows that have been kept long enough, in batches, by the database's clock, until `stop`. Published and
 * abandoned rows have each their time; pending and failed ones are never touched.
 */
export function createRetention(
  config: OutboxConfig['cleanup'],
  deps: RetentionDeps,
): (stop: AbortSignal) => Promise<void> {
  const { publishedRetentionMs, abandonedRetentionMs, batchSize, everyMs } = config;
  const { store, emit } = deps;
  const purgeBatch = async () => {
    const count = await store.purge(publishedRetentionMs, abandonedRetentionMs, batchSize);
    if (count > 0) emit({ event: 'outbox.rows_purged', database: store.database, count });
    return count >= batchSize ? 0 : everyMs;
  };
  return (stop) => loop(purgeBatch, stop, deps.loop);
}
