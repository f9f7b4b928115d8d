import type { Broker } from '../broker/broker.ts';
import type { ServerConfig } from '../config/config.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';

export interface UpkeepDeps {
  /** The dead-letter streams, each once. */
  readonly streams: () => Promise<readonly { readonly broker: Broker; readonly stream: string }[]>;
  readonly emit: Emit;
  readonly loop: LoopOptions;
}

/** Deleted in one step: a moment's work for the server. */
const batchSize = 10_000;

/**
 * Looks after the dead letters (`[server.dlq]`): deletes those that are older than the retention, in batches and by the
 * broker's clock, and tells when a stream has more than the threshold; once, until it has fewer again. Every replica does so:
 * what one has deleted is not there for the next.
 */
export function createDeadLetterUpkeep(config: ServerConfig['dlq'], deps: UpkeepDeps): Service {
  const { retentionMs, alertThreshold, checkEveryMs } = config;
  const { streams, emit } = deps;
  const above = new Set<string>();

  async function look(broker: Broker, stream: string): Promise<boolean> {
    const count = await broker.expire(stream, retentionMs, batchSize);
    if (count > 0) emit({ event: 'dead_letters.expired', broker: broker.name, stream, count });
    compare(broker, stream, await broker.length(stream));
    return count > 0;
  }

  function compare({ name: broker }: Broker, stream: string, count: number): void {
    const key = JSON.stringify([broker, stream]);
    if (count >= alertThreshold === above.has(key)) return;
    if (above.delete(key)) {
      emit({ event: 'dead_letters.below_threshold', broker, stream, count, threshold: alertThreshold });
      return;
    }
    above.add(key);
    emit({ event: 'dead_letters.above_threshold', broker, stream, count, threshold: alertThreshold });
  }

  async function step(): Promise<number> {
    let deleted = false;
    for (const { broker, stream } of await streams()) deleted = (await look(broker, stream)) || deleted;
    return deleted ? 0 : checkEveryMs;
  }

  return { name: 'dead-letters', run: ({ soft }) => loop(step, soft, deps.loop) };
}
