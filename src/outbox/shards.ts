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
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly rest: (ms: Millis, signal: AbortSignal) => Promise<void>;
  readonly loopOptions: LoopOptionsFor;
}

/**
 * Relays every shard of one outbox that this replica can get the lease of. The owner of shard 0 also sweeps out old
 * rows. On drain each relay finishes the batch in hand and hands its lease over at once.
 */
export function createShards(config: OutboxConfig, deps: ShardsDeps): Service {
  const { store, broker, target, owner, clock, random, emit, rest, loopOptions } = deps;
  const name = `outbox:${store.database}:${broker.name}`;

  async function relayShard(index: number, shards: number, shutdown: Shutdown): Promise<void> {
    const lease = `${name}:${index}/${shards}`;
    const outbox = store.shard(index, shards, target, lease);
    const relay = createRelay(config, {
      database: store.database,
      outbox,
      broker,
      rest,
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
      let shards = 0;
      const ask = async () => {
        shards = await store.shards();
        return shards;
      };
      const known = new AbortController();
      const stop = AbortSignal.any([known.signal, shutdown.soft]);
      await loop(async () => ((await ask()) > 0 ? (known.abort(), 0) : 1_000), stop, loopOptions(name));
      await Promise.all(Array.from({ length: shards }, (_, index) => relayShard(index, shards, shutdown)));
    },
  };
}
