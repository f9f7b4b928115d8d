import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import type { Providers } from '../providers.ts';
import type { Service } from '../runtime/service.ts';
import { createDeadLetterUpkeep } from '../subscription/dead-letter-upkeep.ts';
import type { WorkerDeps } from './deps.ts';
import type { PlanRow } from './plan.ts';

/** What looks after the dead letters of all subscriptions, where `[server.dlq]` asks for it. */
export function deadLetterUpkeep(
  { server: { dlq } }: Config,
  plan: readonly PlanRow[],
  providers: Providers,
  { emit, loopOptions }: WorkerDeps,
): readonly Service[] {
  if (!dlq.enabled) return [];
  const streams = new Map<string, { readonly broker: Broker; readonly stream: string }>();
  for (const { handler, streams: read, settings } of plan) {
    // What is in the event store stays there.
    if (settings.type !== 'stream') continue;
    const broker = providers.broker(handler.broker);
    if (!broker.capabilities.deadLetters) continue;
    for (const stream of read.map(deadLettersOf))
      streams.set(JSON.stringify([broker.name, stream]), { broker, stream });
  }
  const loop = loopOptions('dead-letters', dlq.checkEveryMs + 60_000);
  return [createDeadLetterUpkeep(dlq, { streams: async () => [...streams.values()], emit, loop })];
}
