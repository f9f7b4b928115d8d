import type { Broker } from '../broker/broker.ts';
import type { OutboxConfig } from '../config/config.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { whileLeased } from '../runtime/lease.ts';
import type { LoopOptionsFor } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';
import type { OutboxStore } from './outbox.ts';
import { createRelay } from './relay.ts';
import { createRetention } from './retention.ts';

export interface ShardsDeps {
  readonly store: OutboxStore;
  readonly broker: Broker;
  /** Null for the rows that name no broker, else the broker whose own rows these are. */
  readonly target: string | null;
  /** Categories that some handler reads by partition; their rows with a partition key go there. */
  readonly partitioned: ReadonlySet<string>;
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  /** Waits between polls of this shard: for `ms`, or until there is a sign of new rows. */
  readonly rest: (shard: number, ms: Millis, signal: AbortSignal) => Promise<void>;
  readonly loopOptions: LoopOptionsFor;
}

const nowhere: ReadonlySet<string> = new Set();

/**
 * Relays the rows of one outbox for one broker: every shard that this replica can get the lease of. An external broker's
 * go to its own leases, at its own pace, to plain categories. The owner of shard 0 also sweeps out old rows. On drain each relay finishes the batch in hand and hands its lease over at once.
 */
export function createShards(config: OutboxConfig, deps: ShardsDeps): Service {
  const { store, broker, target, partitioned, owner, clock, random, emit, rest, loopOptions } = deps;
  const name =
    target === null ? `outbox:${store.database}:${broker.name}` : `outbox:${store.database}:external:${target}`;
  const routing = target === null ? { lanes: config.lanes, partitioned } : { lanes: null, partitioned: nowhere };
  const ours = target === null ? config : { ...config, publishWait: null };

  async function relayShard(index: number, shards: number, shutdown: Shutdown): Promise<void> {
    const lease = `${name}:${index}/${shards}`;
    const outbox = store.shard(index, shards, target, lease);
    const relay = createRelay(ours, {
      database: store.database,
      outbox,
      broker,
      routing,
      rest: (ms, signal) => rest(index, ms, signal),
      clock,
      random,
      emit,
      loop: loopOptions(lease),
    });
    const retention = createRetention(config.cleanup, { store, clock, emit, loop: loopOptions(`${lease}:retention`) });
    await whileLeased(
      { name: lease, owner, ...config.lease },
      {
        store: store.leases,
        clock,
        onChange: (state) => emit({ event: `lease.${state}`, lease, owner }),
        onError: (error) => emit({ event: 'lease.failed', lease, err: error as Error }),
      },
      shutdown,
      async (grant) => {
        const stop = AbortSignal.any([grant.signal, shutdown.soft]);
        const sweeping = index === 0 && target === null ? retention(stop) : Promise.resolve();
        await Promise.all([relay(grant, shutdown.soft), sweeping]);
      },
    );
  }

  return {
    name,
    async run(shutdown) {
      const shards = await askForShards(shutdown.soft);
      await Promise.all(Array.from({ length: shards }, (_, index) => relayShard(index, shards, shutdown)));
    },
  };

  /** Asks until the database answers; 0 when told to stop before. */
  async function askForShards(stop: AbortSignal): Promise<number> {
    const answered = new AbortController();
    let shards = 0;
    const ask = async () => {
      shards = await store.shards();
      answered.abort();
      return 0;
    };
    await loop(ask, AbortSignal.any([stop, answered.signal]), loopOptions(name));
    return shards;
  }
}
