import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import type { LogFacts } from '../handler/context.ts';
import { createDeadlines } from '../handler/deadlines.ts';
import { invokeBatch } from '../handler/invoke-batch.ts';
import { openCatalog } from '../message/catalog.ts';
import { replayOf } from '../message/stream-name.ts';
import type { Providers } from '../providers.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import { createOpen } from '../subscription/open-delivery.ts';
import { createSubscription } from '../subscription/subscription.ts';
import type { WorkerDeps } from './deps.ts';
import type { PlanRow } from './plan.ts';

/** The service that consumes the streams of one handler. */
export function subscriptionFor(
  { handler, lanes, streams, settings }: PlanRow,
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
  { hard }: Shutdown,
): Service {
  const { id, clock, random, emit, handlerLog, loopOptions, lingering, running } = deps;
  const { name, group } = handler;
  const broker = providers.broker(handler.broker);
  const deadlines = createDeadlines(settings.handlerTimeoutMs, {
    clock,
    hard,
    ...(lingering === undefined ? {} : { onLinger: lingering.add }),
  });
  const invokeDeps = {
    domain: config.domain.normalized,
    config: config.custom,
    unitsOfWork: providers.database(handler.database).unitsOfWork,
    log: ({ handler: subscription, ...facts }: LogFacts) => handlerLog({ subscription, ...facts }),
    deadlines,
    ...(running === undefined ? {} : { running }),
    ...(deps.inProcess === undefined ? {} : { inProcess: deps.inProcess }),
  };
  const open = createOpen(handler, {
    ...invokeDeps,
    quickRetries: config.server,
    catalog: deps.catalog ?? openCatalog,
    clock,
    random,
    hard,
  });
  const { batch } = handler;
  const subscription = createSubscription(
    batch === null ? settings : { ...settings, batchSize: Math.max(settings.batchSize, batch.size) },
    {
      name,
      stream: handler.streams.join(', '),
      join: () =>
        broker.consume({ streams: lanes, aside: replaysOf(streams, group, broker), group, consumer: `${name}-${id}` }),
      open,
      batch: batch === null ? null : { size: batch.size, run: (items) => invokeBatch(name, batch, items, invokeDeps) },
      clock,
      random,
      emit,
      loopOptions,
    },
  );
  return {
    name,
    async run(shutdown) {
      await subscription.run(shutdown);
      deadlines.close();
    },
  };
}

/** Where dead letters of this group come back to: read by no other group. */
const replaysOf = (streams: readonly string[], group: string, { capabilities }: Broker): readonly string[] =>
  capabilities.deadLetters ? streams.map((stream) => replayOf(stream, group)) : [];
