import type { Config } from './config/config.ts';
import type { HandleNow } from './handler/handle-now.ts';
import type { LoadedHandler } from './handler/loaded-handler.ts';
import type { Providers } from './providers.ts';
import type { LoopOptionsFor } from './runtime/loop.ts';
import type { Service, Shutdown } from './runtime/service.ts';
import { createMonitor, type Watched } from './telemetry/monitor.ts';
import { deadLetterUpkeep } from './worker/dead-letters.ts';
import type { WorkerDeps } from './worker/deps.ts';
import { forgetting } from './worker/forgetting.ts';
import { synchronous } from './worker/in-process.ts';
import type { PlanRow } from './worker/plan.ts';
import { planFor } from './worker/plan.ts';
import { relays } from './worker/relays.ts';
import { reviving } from './worker/reviving.ts';
import { runAll } from './worker/run-all.ts';
import { subscriptionsFor } from './worker/subscriptions.ts';
import { reachAll, watchedBy } from './worker/watched.ts';

export interface Worker {
  readonly plan: readonly PlanRow[];
  readonly watched: Watched;
  /** Handles what comes from outside of handlers in this process; null where it all goes by way of the outbox. */
  readonly handleNow: HandleNow | null;
  /** Reaches every database and broker, waiting for those that are away until the start-up time is over. */
  connect(stop: AbortSignal): Promise<void>;
  /** Runs everything until told to stop; resolves when all has drained. Rejects when a service breaks: a bug. */
  run(shutdown: Shutdown): Promise<void>;
}

export type Part = 'relay' | 'subscriptions';

/** One service, and one that is begun anew when it stands still where that is wanted. */
function revived(create: (deps: WorkerDeps) => readonly Service[], deps: WorkerDeps): readonly Service[] {
  const { onHopeless } = deps;
  if (onHopeless === undefined) return create(deps);
  const one = (loopOptions: LoopOptionsFor): Service => {
    const [service, ...others] = create({ ...deps, loopOptions });
    if (service === undefined || others.length > 0) throw new Error('one service is begun anew at a time');
    return service;
  };
  return [reviving(one, { ...deps, onHopeless })];
}

/** The same of several, whose number does not change. */
const revivedEach = (create: (deps: WorkerDeps) => readonly Service[], deps: WorkerDeps): readonly Service[] =>
  deps.onHopeless === undefined
    ? create(deps)
    : create(deps).flatMap((_, index) => revived((given) => create(given).slice(index, index + 1), deps));

/** Handlers as services feed them: each by itself, those of the event store by the database that says who owns them. */
function together(plan: readonly PlanRow[]): readonly (readonly PlanRow[])[] {
  const groups = new Map<string, PlanRow[]>();
  for (const row of plan) {
    const { settings, handler } = row;
    const key = settings.type === 'event_store' ? `database ${handler.database}` : `handler ${handler.name}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** The composition root: makes of a configuration and its handlers the services that do the work. */
export function createWorker(
  config: Config,
  handlers: readonly LoadedHandler[],
  parts: readonly Part[],
  providers: Providers,
  deps: WorkerDeps,
): Worker {
  const { emit, state } = deps;
  const plan = planFor(config, handlers);
  const sync = synchronous(config, plan, providers, deps);

  const watched = watchedBy(config, plan, providers);
  const outboxes = revivedEach(
    (given) => (parts.includes('relay') ? relays(config, plan, providers, given) : []),
    deps,
  );
  const monitor = revived(({ loopOptions }) => [createMonitor({ watched, state, loop: loopOptions('monitor') })], deps);

  return {
    plan,
    watched,
    handleNow: sync?.handleNow ?? null,
    connect: (stop) => reachAll(config, providers, deps, stop),
    async run(shutdown) {
      const load = { bytes: 0 };
      const subscriptions = parts.includes('subscriptions')
        ? together(plan).flatMap((rows) =>
            revived((given) => subscriptionsFor(rows, config, providers, { ...given, ...sync, load }, shutdown), deps),
          )
        : [];
      const upkeep = revivedEach(
        (given) => [
          ...forgetting(config, providers, given),
          ...(parts.includes('subscriptions') ? deadLetterUpkeep(config, plan, providers, given) : []),
        ],
        deps,
      );
      await runAll([...outboxes, ...subscriptions, ...upkeep, ...monitor], shutdown, emit);
    },
  };
}
