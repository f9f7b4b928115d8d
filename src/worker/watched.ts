import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import type { Providers } from '../providers.ts';
import { reach } from '../runtime/reach.ts';
import { createStandings } from '../subscription/event-store-standing.ts';
import type { Inspected, Watched } from '../telemetry/monitor.ts';
import type { WorkerDeps } from './deps.ts';
import { withPartitionsOf } from './partition-inspection.ts';
import type { PlanRow } from './plan.ts';
import { outboxesOf, targetsOf } from './relays.ts';

/** What the monitor asks about at intervals. */
export function watchedBy(config: Config, plan: readonly PlanRow[], providers: Providers): Watched {
  const { outbox } = config;
  return {
    databases: [...providers.databases].map(([name, { ping }]) => ({ name, ping })),
    brokers: ownBrokers(config, providers),
    eventStore: config.eventStore.provider === 'memory' ? null : providers.eventStore.store,
    outboxes:
      outbox === null
        ? []
        : outboxesOf(providers).flatMap(({ store }) => targetsOf(outbox).map((to) => ({ store, ...to }))),
    subscriptions: plan.map((row) => ({
      handler: row.handler.name,
      group: row.handler.group,
      streams: row.streams,
      broker: inspectedBy(row, config, providers),
    })),
  };
}

/** Where a handler reads from, to be asked how far it has come. */
export function inspectedBy(row: PlanRow, config: Config, providers: Providers): Inspected {
  const { handler, settings } = row;
  if (settings.type === 'stream') return withPartitionsOf(row, config, providers.broker(handler.broker));
  const { positions } = providers.database(handler.database).keeping;
  return createStandings(handler.group, { store: providers.eventStore.store, positions });
}

/**
 * Those that this daemon cannot do without. A broker that only receives what is published for others may be away: its
 * rows wait, and everything else goes on.
 */
function ownBrokers({ outbox }: Config, { brokers }: Providers): readonly Broker[] {
  const foreign = new Set(outbox?.externalBrokers.filter((name) => name !== outbox.broker && name !== 'default'));
  return [...brokers.values()].filter(({ name }) => !foreign.has(name));
}

/** Asks everything that is needed until it answers, and says what is unsafe about it; what is misconfigured is not waited for. */
export async function reachAll(
  config: Config,
  providers: Providers,
  { clock, emit }: WorkerDeps,
  stop: AbortSignal,
): Promise<void> {
  const until = clock.monotonic() + config.server.startupTimeoutMs;
  const needs = [
    ...[...providers.databases.values()].map(({ check }) => check),
    () => providers.eventStore.store.check(),
    ...ownBrokers(config, providers).map((broker) => async () => {
      await broker.ping();
      for (const warning of await broker.advise()) emit({ event: 'config.warned', warning });
    }),
  ];
  await Promise.all(needs.map((need) => reach(need, until, clock, stop)));
}
