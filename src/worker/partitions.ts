import type { PartitionBroker } from '../broker/partition.ts';
import type { Config, SubscriptionConfig } from '../config/config.ts';
import type { Service } from '../runtime/service.ts';
import { createPartitionSubscription } from '../subscription/partition-subscription.ts';
import type { SubscriptionDeps } from '../subscription/subscription.ts';
import type { WorkerDeps } from './deps.ts';
import type { PlanRow } from './plan.ts';

/** What partitions share with the subscription of the handler's streams. */
type Shared = Omit<SubscriptionDeps, 'stream' | 'join' | 'loopOptions'>;

/** The services that consume the partitions of one handler. None where it has none. */
export function partitionsFor(
  { handler, settings, partitions: plan }: PlanRow,
  config: Config,
  broker: PartitionBroker | null,
  shared: Shared,
  { id, loopOptions }: WorkerDeps,
): readonly Service[] {
  if (plan === null || broker === null) return [];
  const { name, group, broker: brokerName } = handler;
  const { partitioning, lanes } = config.server;
  const { inOrder, groups } = plan;
  const connection = config.brokers.get(brokerName);
  // One lease for a key in all categories, which hash tags set apart: where no order is to be kept, each has its own.
  const apart = connection?.provider === 'redis' && connection.hashTag;
  const parts = apart ? plan.categories.map((category) => [category]) : [plan.categories];
  return parts.map((categories) =>
    createPartitionSubscription(
      {
        subscription: settings,
        partitioning,
        group,
        owner: `${name}-${id}`,
        categories,
        laneSuffix: lanes?.suffix ?? null,
        inOrder,
        groups,
      },
      { ...shared, broker, loopOptions },
    ),
  );
}

/** For messages that have no key: where it is the order of keys that halts, and nobody asks for it, they need not. */
export function withoutKeys(settings: SubscriptionConfig): SubscriptionConfig {
  const { sequentialBy, retry, origins } = settings;
  if (sequentialBy === null || origins.get('on_poison')?.origin !== 'sequential_by') return settings;
  const onExhausted = origins.get('enable_dlq')?.value === false ? 'discard' : 'dead_letter';
  return { ...settings, retry: { ...retry, onExhausted } };
}
