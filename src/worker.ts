import { setMaxListeners } from 'node:events';
import type { Broker } from './broker/broker.ts';
import type { Config, OutboxConfig, SubscriptionConfig } from './config/config.ts';
import { resolveSubscription } from './config/resolve.ts';
import { createDeadlines } from './handler/deadlines.ts';
import { createInboxRetention } from './handler/inbox.ts';
import type { LoadedHandler } from './handler/loaded-handler.ts';
import { laneOf, replayOf } from './message/stream-name.ts';
import { hintPlace } from './outbox/hint.ts';
import { createShards } from './outbox/shards.ts';
import type { Providers } from './providers.ts';
import type { Clock, Random } from './runtime/clock.ts';
import { ConfigError } from './runtime/errors.ts';
import { toError } from './runtime/failure.ts';
import type { LoopOptionsFor } from './runtime/loop.ts';
import { reach } from './runtime/reach.ts';
import type { Service, Shutdown } from './runtime/service.ts';
import { createOpen } from './subscription/open-delivery.ts';
import { createSubscription } from './subscription/subscription.ts';
import type { Emit } from './telemetry/event.ts';
import type { HealthState } from './telemetry/health.ts';
import type { BoundLog } from './telemetry/log.ts';
import { createMonitor, type Watched } from './telemetry/monitor.ts';

export interface WorkerDeps {
  /** Unique to this process: in lease owners and consumer names. */
  readonly id: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly loopOptions: LoopOptionsFor;
  readonly state: HealthState;
  readonly handlerLog: (bindings: { readonly [key: string]: string | number | null }) => BoundLog;
}

/** One subscription as the start banner shows it. */
export interface PlanRow {
  readonly handler: LoadedHandler;
  readonly streams: readonly string[];
  readonly settings: SubscriptionConfig;
}

export interface Worker {
  readonly plan: readonly PlanRow[];
  readonly watched: Watched;
  /** Reaches every database and broker, waiting for those that are away until the start-up time is over. */
  connect(stop: AbortSignal): Promise<void>;
  /** Runs everything until told to stop; resolves when all has drained. Rejects when a service breaks: a bug. */
  run(shutdown: Shutdown): Promise<void>;
}

export type Part = 'relay' | 'subscriptions';

/** The composition root: makes of a configuration and its handlers the services that do the work. */
export function createWorker(
  config: Config,
  handlers: readonly LoadedHandler[],
  parts: readonly Part[],
  providers: Providers,
  deps: WorkerDeps,
): Worker {
  const { emit, state, loopOptions } = deps;
  const plan = planFor(config, handlers);

  const watched = watchedBy(config, plan, providers);
  const outboxes = parts.includes('relay') ? relays(config, providers, deps) : [];
  const monitor = createMonitor({ watched, state, loop: loopOptions('monitor') });

  return {
    plan,
    watched,
    connect: (stop) => reachAll(config, providers, deps, stop),
    async run(shutdown) {
      const subscriptions = parts.includes('subscriptions')
        ? plan.map((row) => subscriptionFor(row, config, providers, deps, shutdown))
        : [];
      const forgetting = [...providers.databases.values()].flatMap(({ name, inbox }) =>
        inbox === null ? [] : [createInboxRetention(config.inbox, { inbox, loop: loopOptions(`inbox:${name}`) })],
      );
      await runAll([...outboxes, ...subscriptions, ...forgetting, monitor], shutdown, emit);
    },
  };
}

/** Resolves every handler's subscription; throws ConfigError with the faults of all of them. */
export function planFor(config: Config, handlers: readonly LoadedHandler[]): readonly PlanRow[] {
  const { lanes, subscriptions: layers } = config.server;
  const faults: ConfigError['faults'][number][] = [];
  const rows: PlanRow[] = [];
  for (const handler of handlers) {
    const streams = handler.streams.flatMap((stream) =>
      lanes !== null && handler.kind !== 'subscriber' ? [stream, laneOf(stream, lanes.suffix)] : [stream],
    );
    try {
      rows.push({ handler, streams, settings: resolveSubscription(layers, handler) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return rows;
}

function relays(config: Config, providers: Providers, deps: WorkerDeps): readonly Service[] {
  const { outbox } = config;
  const { id: owner, clock, random, emit, loopOptions } = deps;
  if (outbox === null) return [];
  const { externalBrokers } = outbox;
  // No subscription reads partitions, so nothing goes there: nobody would find it.
  const shared = { partitioned: new Set<string>(), owner, clock, random, emit, loopOptions };
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
const targetsOf = ({ broker, externalBrokers }: OutboxConfig) => [
  { target: null, broker },
  ...[...new Set(externalBrokers)].map((external) => ({ target: external, broker: external })),
];

function subscriptionFor(
  { handler, streams, settings }: PlanRow,
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
  { hard }: Shutdown,
): Service {
  const { id, clock, random, emit, handlerLog, loopOptions } = deps;
  const { name, group } = handler;
  const broker = providers.broker(handler.broker);
  const deadlines = createDeadlines(settings.handlerTimeoutMs, { clock, hard });
  const open = createOpen(handler, {
    domain: config.domain.normalized,
    config: config.custom,
    unitsOfWork: providers.database(handler.database).unitsOfWork,
    log: ({ handler: subscription, ...facts }) => handlerLog({ subscription, ...facts }),
    deadlines,
    quickRetries: config.server,
    clock,
    random,
    hard,
  });
  const subscription = createSubscription(settings, {
    name,
    stream: handler.streams.join(', '),
    join: () => broker.consume({ streams, aside: replaysOf(streams, group, broker), group, consumer: `${name}-${id}` }),
    open,
    clock,
    random,
    emit,
    loopOptions,
  });
  return {
    name,
    async run(shutdown) {
      await subscription.run(shutdown);
      deadlines.close();
    },
  };
}

function watchedBy(config: Config, plan: readonly PlanRow[], providers: Providers): Watched {
  const { outbox } = config;
  return {
    databases: [...providers.databases].map(([name, { ping }]) => ({ name, ping })),
    brokers: ownBrokers(config, providers),
    outboxes:
      outbox === null
        ? []
        : outboxesOf(providers).flatMap(({ store }) => targetsOf(outbox).map((to) => ({ store, ...to }))),
    subscriptions: plan.map(({ handler, streams }) => ({
      handler: handler.name,
      group: handler.group,
      streams,
      broker: providers.broker(handler.broker),
    })),
  };
}

const outboxesOf = ({ databases }: Providers) =>
  [...databases.values()].flatMap(({ outbox: store, rest, hint }) => (store === null ? [] : [{ store, rest, hint }]));

/** Where dead letters of this group come back to: read by no other group. */
const replaysOf = (streams: readonly string[], group: string, { capabilities }: Broker): readonly string[] =>
  capabilities.deadLetters ? streams.map((stream) => replayOf(stream, group)) : [];

/**
 * Those that this daemon cannot do without. A broker that only receives what is published for others may be away: its
 * rows wait, and everything else goes on.
 */
function ownBrokers({ outbox }: Config, { brokers }: Providers): readonly Broker[] {
  const foreign = new Set(outbox?.externalBrokers.filter((name) => name !== outbox.broker && name !== 'default'));
  return [...brokers.values()].filter(({ name }) => !foreign.has(name));
}

/** Asks everything that is needed until it answers, and says what is unsafe about it; what is misconfigured is not waited for. */
async function reachAll(
  config: Config,
  providers: Providers,
  { clock, emit }: WorkerDeps,
  stop: AbortSignal,
): Promise<void> {
  const until = clock.monotonic() + config.server.startupTimeoutMs;
  const needs = [
    ...[...providers.databases.values()].map(({ check }) => check),
    ...ownBrokers(config, providers).map((broker) => async () => {
      await broker.ping();
      for (const warning of await broker.advise()) emit({ event: 'config.warned', warning });
    }),
  ];
  await Promise.all(needs.map((need) => reach(need, until, clock, stop)));
}

/** Runs services side by side. One that breaks stops the others, which still drain. */
async function runAll(services: readonly Service[], shutdown: Shutdown, emit: Emit): Promise<void> {
  const broken = new AbortController();
  const soft = AbortSignal.any([shutdown.soft, broken.signal]);
  // Every loop of every subscription listens: more than the ten that Node takes for a leak.
  setMaxListeners(0, soft, shutdown.hard);
  const run = async (service: Service) => {
    try {
      await service.run({ soft, hard: shutdown.hard });
    } catch (thrown) {
      const err = toError(thrown);
      emit({ event: 'service.failed', service: service.name, err });
      broken.abort(err);
    }
  };
  await Promise.all(services.map(run));
  if (broken.signal.aborted) throw broken.signal.reason;
}
