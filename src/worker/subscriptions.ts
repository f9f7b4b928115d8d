import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import { replayOf } from '../message/stream-name.ts';
import type { Providers } from '../providers.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import { createSubscription } from '../subscription/subscription.ts';
import type { WorkerDeps } from './deps.ts';
import { eventStoreSubscriptions } from './event-store-subscriptions.ts';
import { openHandler } from './open-handler.ts';
import { partitionsFor, withoutKeys } from './partitions.ts';
import type { PlanRow } from './plan.ts';

/** The services that feed all handlers, each from where its settings say. */
export function subscriptionsFor(
  plan: readonly PlanRow[],
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
  shutdown: Shutdown,
): readonly Service[] {
  const ofStreams = plan.filter(({ settings }) => settings.type === 'stream');
  const ofEventStore = plan.filter(({ settings }) => settings.type === 'event_store');
  return [
    ...ofStreams.map((row) => streamSubscription(row, config, providers, deps, shutdown)),
    ...eventStoreSubscriptions(ofEventStore, config, providers, deps),
  ];
}

/** The service that consumes the streams of one handler, and the partitions beside them. */
function streamSubscription(
  row: PlanRow,
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
  { hard }: Shutdown,
): Service {
  const { handler, lanes, streams, settings } = row;
  const { id, clock, random, emit, loopOptions } = deps;
  const { name, group } = handler;
  const broker = providers.broker(handler.broker);
  const { unitsOfWork, keys } = providers.database(handler.database);
  const idempotency = providers.redisKeys ?? keys;
  const opened = openHandler({ handler, settings, unitsOfWork, idempotency, hard }, config, deps);
  const shared = {
    name,
    open: opened.open,
    batch: opened.batch,
    ...(deps.load === undefined ? {} : { load: deps.load }),
    clock,
    random,
    emit,
  };
  const subscription = createSubscription(withoutKeys(opened.settings), {
    ...shared,
    stream: handler.streams.join(', '),
    join: () =>
      broker.consume({ streams: lanes, aside: replaysOf(streams, group, broker), group, consumer: `${name}-${id}` }),
    loopOptions,
  });
  const partitions = partitionsFor({ ...row, settings: opened.settings }, config, broker.partitions, shared, deps);
  return {
    name,
    async run(shutdown) {
      await Promise.all([subscription, ...partitions].map((each) => each.run(shutdown)));
      opened.close();
    },
  };
}

/** Where dead letters of this group come back to: read by no other group. */
const replaysOf = (streams: readonly string[], group: string, { capabilities }: Broker): readonly string[] =>
  capabilities.deadLetters ? streams.map((stream) => replayOf(stream, group)) : [];
