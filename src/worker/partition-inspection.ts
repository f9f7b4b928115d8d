import type { Broker, GroupState } from '../broker/broker.ts';
import type { PartitionState, PartitionView } from '../broker/partition.ts';
import type { Config } from '../config/config.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import type { Inspected } from '../telemetry/monitor.ts';
import type { PlanRow } from './plan.ts';

/** The partitions of a handler as operators see them, one view a category; none where it reads none. */
export function partitionViews(
  { handler, partitions }: Pick<PlanRow, 'handler' | 'partitions'>,
  { server }: Config,
  broker: Broker,
): ReadonlyMap<string, PartitionView> {
  const views = new Map<string, PartitionView>();
  if (partitions === null || broker.partitions === null) return views;
  const laneSuffix = server.lanes?.suffix ?? null;
  for (const category of partitions.categories) {
    views.set(category, broker.partitions.view({ group: handler.group, categories: [category], laneSuffix }));
  }
  return views;
}

/** A broker in whose answers a category and its partitions are one. */
export function withPartitionsOf(row: PlanRow, config: Config, broker: Broker): Inspected {
  const views = partitionViews(row, config, broker);
  if (views.size === 0) return broker;
  const letters = new Map([...views].map(([category, view]) => [deadLettersOf(category), view]));
  return {
    async inspect(stream, group) {
      const [own, states = []] = await Promise.all([broker.inspect(stream, group), views.get(stream)?.states()]);
      return together(own, states);
    },
    async length(stream) {
      const [own, more = []] = await Promise.all([broker.length(stream), letters.get(stream)?.deadLetters()]);
      return more.reduce((sum, { count }) => sum + count, own);
    },
  };
}

function together(own: GroupState, states: readonly PartitionState[]): GroupState {
  const sum = (of: (state: PartitionState) => number) => states.reduce((all, state) => all + of(state), 0);
  const oldest = [own, ...states].flatMap(({ oldestPendingMs }) => oldestPendingMs ?? []);
  return {
    lag: own.lag === null ? null : own.lag + sum(({ lag }) => lag),
    lagMs: own.lagMs === null ? null : states.reduce((most, { lagMs }) => Math.max(most, lagMs), own.lagMs),
    pending: own.pending + sum(({ pending }) => pending),
    oldestPendingMs: oldest.reduce<number | null>((most, each) => Math.max(most ?? 0, each), null),
  };
}
