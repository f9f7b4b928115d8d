import type { Config, SubscriptionConfig } from '../config/config.ts';
import { resolveSubscription } from '../config/resolve.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import { allCategories, laneOf } from '../message/stream-name.ts';
import type { Fault } from '../runtime/errors.ts';
import { ConfigError } from '../runtime/errors.ts';
import { faultsOfPartitions, withPartitions } from './partitioned.ts';

/** One subscription as the start banner shows it. */
export interface PlanRow {
  readonly handler: LoadedHandler;
  /** Each stream of the handler as its lanes, in the order of preference. */
  readonly lanes: readonly (readonly string[])[];
  /** All of them. */
  readonly streams: readonly string[];
  readonly settings: SubscriptionConfig;
  /** The partitions that it reads beside its streams; null for none. */
  readonly partitions: PartitionsPlan | null;
}

/** What of its categories a handler reads by partition. */
export interface PartitionsPlan {
  readonly categories: readonly string[];
  /** By itself: one message of a key after the other. Else since others do. */
  readonly inOrder: boolean;
  /** Of all handlers that read them. */
  readonly groups: readonly string[];
}

/** Resolves every handler's subscription; throws ConfigError with the faults of all of them. */
export function planFor(config: Config, handlers: readonly LoadedHandler[]): readonly PlanRow[] {
  const { lanes, retryRules, subscriptions: layers } = config.server;
  const faults: ConfigError['faults'][number][] = [];
  const rows: Omit<PlanRow, 'partitions'>[] = [];
  for (const handler of handlers) {
    try {
      const settings = resolveSubscription(layers, handler, retryRules);
      const isLog = settings.type === 'event_store';
      if (!isLog && handler.streams.includes(allCategories)) throw new ConfigError([needsEventStore(handler)]);
      const lanesOf = handler.streams.map((stream) =>
        lanes !== null && handler.kind !== 'subscriber' && !isLog ? [stream, laneOf(stream, lanes.suffix)] : [stream],
      );
      rows.push({ handler, lanes: lanesOf, streams: lanesOf.flat(), settings });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults);
    }
  }
  faults.push(...faultsOfPartitions(config, rows));
  if (faults.length > 0) throw new ConfigError(faults);
  return withPartitions(rows);
}

const needsEventStore = ({ name, place }: LoadedHandler): Fault => ({
  code: 'conflict',
  where: place,
  message: `${name}: ${allCategories} is read from the event store: set subscription_type = "event_store" in [server.subscriptions.${name}]`,
});
