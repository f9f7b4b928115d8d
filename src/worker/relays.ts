import type { Config, OutboxConfig } from '../config/config.ts';
import { hintPlace } from '../outbox/hint.ts';
import { createShards } from '../outbox/shards.ts';
import type { Providers } from '../providers.ts';
import type { Service } from '../runtime/service.ts';
import type { WorkerDeps } from './deps.ts';
import { partitionedBy } from './partitioned.ts';
import type { PlanRow } from './plan.ts';

/** A relay for every outbox and every place that its rows go to. */
export function relays(
  config: Config,
  plan: readonly PlanRow[],
  providers: Providers,
  deps: WorkerDeps,
): readonly Service[] {
  const { outbox } = config;
  const { id: owner, clock, random, emit, loopOptions } = deps;
  if (outbox === null) return [];
  const { externalBrokers } = outbox;
  const shared = { partitioned: partitionedBy(plan), owner, clock, random, emit, loopOptions };
  return outboxesOf(providers).flatMap(({ store, rest, hint }) => [
    ...targetsOf(outbox).map(({ target, broker }) =>
      createShards(outbox, {
        ...shared,
        store,
        target,
        broker: providers.broker(broker),
        rest: (shard, ms, signal) => rest(hintPlace(shard, externalBrokers, target), ms, signal),
      }),
    ),
    ...(hint === null ? [] : [hint]),
  ]);
}

/** Where rows go: those that name no broker to `[outbox] broker`, and those of each external broker there. */
export const targetsOf = ({ broker, externalBrokers }: OutboxConfig) => [
  { target: null, broker },
  ...[...new Set(externalBrokers)].map((external) => ({ target: external, broker: external })),
];

/** The outboxes of all databases. */
export const outboxesOf = ({ databases }: Providers) =>
  [...databases.values()].flatMap(({ outbox: store, rest, hint }) => (store === null ? [] : [{ store, rest, hint }]));
