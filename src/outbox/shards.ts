import type { Broker } from '../broker/broker.ts';
import type { OutboxConfig } from '../config/config.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import { whileLeased } from '../runtime/lease.ts';
import type { LoopOptions, LoopOptionsFor } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';
import type { OutboxStore } from './outbox.ts';
import { createRelay } from './relay.ts';
import { createRetention } from './retention.ts';
import { createSharing } from './sharing.ts';

export interface ShardsDeps {
  readonly store: OutboxStore;
  readonly broker: Broker;
  /** Null for the rows that name no broker, else the broker whose own rows these are. */
  readonly target: string | null;
  /** Categories that are read by partition, and the field that names it; their rows with a key go there. */
  readonly partitioned: ReadonlyMap<string, string>;
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  /** Waits between polls of this shard: for `ms`, or until there is a sign of new rows. */
  readonly rest: (shard: number, ms: Millis, signal: AbortSignal) => Promise<void>;
  readonly loopOptions: LoopOptionsFor;
}

const nowhere: ReadonlyMap<string, string> = new Map();

/** How soon a replica that has come or gone, or another number of shards, is noticed. */
const lookEveryMs: Millis = 1_000;

/**
 * Relays the rows of one outbox for one broker: every shard that is this replica's share and whose lease it can get. An
 * external broker's go to its own leases, at its own pace, to plain categories. The owner of shard 0 also sweeps out old
 * rows. On drain each relay finishes the batch in hand and hands its lease over at once; so it does when the number of
 * shards has changed, and then all begin anew.
 */
export function createShards(config: OutboxConfig, deps: ShardsDeps): Service {
  const { store, broker, target, partitioned, owner, clock, random, emit, rest, loopOptions } = deps;
  const about = { database: store.database, broker: broker.name };
  const name =
    target === null ? `outbox:${store.database}:${broker.name}` : `outbox:${store.database}:external:${target}`;
  const routing = target === null ? { lanes: config.lanes, partitioned } : { lanes: null, partitioned: nowhere };
  const ours = target === null ? config : { ...config, publishWait: null };
  const onError = (lease: string) => (error: unknown) => emit({ event: 'lease.failed', lease, err: toError(error) });
  const sharing = createSharing(
    { prefix: name, owner, lease: config.lease },
    { store: store.leases, clock, onError: onError(name) },
  );

  async function relayShard(index: number, shards: number, { soft, hard }: Shutdown, changed: AbortController) {
    const lease = sharing.leaseOf(index, shards);
    const relay = createRelay(ours, {
      database: store.database,
      outbox: store.shard(index, shards, target, lease),
      broker,
      routing,
      rest: (ms, signal) => rest(index, ms, signal),
      clock,
      random,
      emit,
      loop: relaying(loopOptions(lease), changed),
    });
    const retention = createRetention(config.cleanup, { store, clock, emit, loop: loopOptions(`${lease}:retention`) });
    while (!soft.aborted) {
      const letGo = new AbortController();
      const stop = AbortSignal.any([soft, letGo.signal]);
      await whileLeased(
        { name: lease, owner, ...config.lease },
        {
          store: sharing.leasesFor(index, letGo),
          clock,
          onChange(state) {
            if (state !== 'acquired') sharing.gone(index);
            emit({ event: `lease.${state}`, lease, owner });
          },
          onError: onError(lease),
        },
        { soft: stop, hard },
        async (grant) => {
          const sweeping =
            index === 0 && target === null ? retention(AbortSignal.any([grant.signal, stop])) : Promise.resolve();
          await Promise.all([relay(grant, stop), sweeping]);
        },
      );
    }
  }

  /** Relays until told to stop, or until the number of shards is another one. */
  async function relayAll(shards: number, { soft, hard }: Shutdown): Promise<void> {
    const changed = new AbortController();
    const stop = AbortSignal.any([soft, changed.signal]);
    const look = async () => {
      if ((await store.shards()) === shards) await sharing.look(shards);
      else changed.abort();
      return lookEveryMs;
    };
    await Promise.all([
      loop(look, stop, loopOptions(name)),
      ...Array.from({ length: shards }, (_, index) => relayShard(index, shards, { soft: stop, hard }, changed)),
    ]);
  }

  return {
    name,
    async run(shutdown) {
      const { soft } = shutdown;
      for (let before: number | null = null; !soft.aborted; ) {
        const shards = await askForShards(soft);
        if (shards === null) break;
        if (before !== null && before !== shards) emit({ event: 'outbox.resharded', ...about, shards });
        before = shards;
        await relayAll(shards, shutdown);
      }
      await sharing.leave();
    },
  };

  /** Asks until the database answers, and joins the other replicas; null when told to stop before. */
  async function askForShards(stop: AbortSignal): Promise<number | null> {
    const answered = new AbortController();
    let shards: number | null = null;
    const ask = async () => {
      const found = await store.shards();
      await sharing.look(found);
      shards = found;
      answered.abort();
      return 0;
    };
    await loop(ask, AbortSignal.any([stop, answered.signal]), loopOptions(name));
    return shards;
  }
}

/** However long the broker was away, rows go on within two seconds of its return. */
const longestRestMs: Millis = 1_000;

/** A relay tries often; one that finds another number of shards has not failed: it ends. */
function relaying(options: LoopOptions, changed: AbortController): LoopOptions {
  const { observer, whenFailing } = options;
  return {
    ...options,
    whenFailing: { ...whenFailing, maxMs: Math.min(whenFailing.maxMs, longestRestMs) },
    observer: {
      ...observer,
      failed(error, failures, retryInMs) {
        if (error instanceof MisconfiguredError && error.code === 'outbox_resharded') changed.abort();
        else observer.failed(error, failures, retryInMs);
      },
    },
  };
}
