import type { Config } from '../config/config.ts';
import type { LogFacts } from '../handler/context.ts';
import { createDeadlines } from '../handler/deadlines.ts';
import type { HandleNow } from '../handler/handle-now.ts';
import { createHandleNow } from '../handler/handle-now.ts';
import type { InProcess } from '../handler/in-process.ts';
import { createInProcess } from '../handler/in-process.ts';
import { openCatalog } from '../message/catalog.ts';
import type { Providers } from '../providers.ts';
import type { WorkerDeps } from './deps.ts';
import type { PlanRow } from './plan.ts';

/** What handles messages where they come about, with `command_processing` or `event_processing` = "sync". */
export interface Synchronous {
  readonly inProcess: InProcess;
  /** For messages that come from outside of handlers. */
  readonly handleNow: HandleNow;
}

/** Null where everything goes by way of the outbox. Throws ConfigError where handlers are on several databases. */
export function synchronous(
  config: Config,
  plan: readonly PlanRow[],
  providers: Pick<Providers, 'database' | 'redisKeys'>,
  deps: Pick<WorkerDeps, 'clock' | 'random' | 'handlerLog' | 'running' | 'lingering' | 'catalog' | 'onTaken'>,
): Synchronous | null {
  const { domain, commandProcessing, eventProcessing, outbox, custom, server } = config;
  const { clock, random, handlerLog, running, lingering, catalog = openCatalog, onTaken } = deps;
  const commands = commandProcessing === 'sync';
  const events = eventProcessing === 'sync';
  if (!commands && !events) return null;
  const handlers = plan.map(({ handler }) => handler);
  const inProcess = createInProcess({ domain, commands, events, outbox: outbox !== null }, handlers, {
    clock,
    ...(onTaken === undefined ? {} : { onTaken }),
  });
  const [first] = handlers.filter(({ kind }) => kind !== 'subscriber');
  // Ended by its caller, not by the daemon's stop.
  const hard = new AbortController().signal;
  const timeoutMs = Math.max(1_000, ...plan.map(({ settings }) => settings.handlerTimeoutMs));
  const onLinger = lingering === undefined ? {} : { onLinger: lingering.add };
  const { unitsOfWork, keys } = providers.database(first?.database ?? 'default');
  const handleNow = createHandleNow({
    domain: domain.normalized,
    config: custom,
    unitsOfWork,
    log: ({ handler: subscription, ...facts }: LogFacts) => handlerLog({ subscription, ...facts }),
    deadlines: createDeadlines(timeoutMs, { clock, hard, ...onLinger }),
    ...(running === undefined ? {} : { running }),
    catalog,
    inProcess,
    quickRetries: server,
    idempotency: providers.redisKeys ?? keys,
    clock,
    random,
    hard,
  });
  return { inProcess, handleNow };
}
