import type { Broker } from '../broker/broker.ts';
import type { PartitionView } from '../broker/partition.ts';
import type { Config } from '../config/config.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import type { Providers } from '../providers.ts';
import type { Service } from '../runtime/service.ts';
import { createDeadLetterUpkeep } from '../subscription/dead-letter-upkeep.ts';
import type { WorkerDeps } from './deps.ts';
import { partitionViews } from './partition-inspection.ts';
import type { PlanRow } from './plan.ts';

/** What looks after the dead letters of all subscriptions, where `[server.dlq]` asks for it. */
export function deadLetterUpkeep(
  config: Config,
  plan: readonly PlanRow[],
  providers: Providers,
  { emit, loopOptions }: WorkerDeps,
): readonly Service[] {
  const { dlq } = config.server;
  if (!dlq.enabled) return [];
  const views: { readonly broker: Broker; readonly view: PartitionView }[] = [];
  const streams = new Map<string, { readonly broker: Broker; readonly stream: string }>();
  for (const row of plan) {
    const { handler, streams: read, settings } = row;
    // What is in the event store stays there.
    if (settings.type !== 'stream') continue;
    const broker = providers.broker(handler.broker);
    if (!broker.capabilities.deadLetters) continue;
    for (const stream of read.map(deadLettersOf))
      streams.set(JSON.stringify([broker.name, stream]), { broker, stream });
    views.push(...[...partitionViews(row, config, broker).values()].map((view) => ({ broker, view })));
  }
  /** Which partitions have dead letters is not known beforehand. */
  async function all() {
    const found = new Map(streams);
    for (const { broker, view } of views) {
      for (const { stream } of await view.deadLetters())
        found.set(JSON.stringify([broker.name, stream]), { broker, stream });
    }
    return [...found.values()];
  }
  const loop = loopOptions('dead-letters', dlq.checkEveryMs + 60_000);
  return [createDeadLetterUpkeep(dlq, { streams: all, emit, loop })];
}
