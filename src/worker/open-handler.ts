import type { Config, SubscriptionConfig } from '../config/config.ts';
import type { LogFacts } from '../handler/context.ts';
import { createDeadlines } from '../handler/deadlines.ts';
import type { Idempotency } from '../handler/idempotency.ts';
import { invokeBatch } from '../handler/invoke-batch.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import type { UnitsOfWork } from '../handler/unit-of-work.ts';
import { openCatalog } from '../message/catalog.ts';
import { createOpen } from '../subscription/open-delivery.ts';
import type { SubscriptionDeps } from '../subscription/subscription.ts';
import type { WorkerDeps } from './deps.ts';

/** A handler, ready to be given deliveries from wherever they come. */
export interface OpenHandler extends Required<Pick<SubscriptionDeps, 'open' | 'batch'>> {
  /** How it is fed: a read brings at least a batch, where it takes batches. */
  readonly settings: SubscriptionConfig;
  /** Lets go of its timer. */
  close(): void;
}

export interface HandlerOpening {
  readonly handler: LoadedHandler;
  readonly settings: SubscriptionConfig;
  readonly unitsOfWork: UnitsOfWork;
  /** Where the keys of commands are kept. */
  readonly idempotency?: Idempotency;
  /** Cuts it short: the daemon must go, or has lost what it handles. */
  readonly hard: AbortSignal;
}

export function openHandler(
  { handler, settings, unitsOfWork, idempotency, hard }: HandlerOpening,
  config: Config,
  deps: WorkerDeps,
): OpenHandler {
  const { clock, random, handlerLog, lingering, running, inProcess, catalog = openCatalog } = deps;
  const { name, batch } = handler;
  const deadlines = createDeadlines(settings.handlerTimeoutMs, {
    clock,
    hard,
    ...(lingering === undefined ? {} : { onLinger: lingering.add }),
  });
  const invokeDeps = {
    domain: config.domain.normalized,
    config: config.custom,
    unitsOfWork,
    log: ({ handler: subscription, ...facts }: LogFacts) => handlerLog({ subscription, ...facts }),
    deadlines,
    catalog,
    ...(running === undefined ? {} : { running }),
    ...(inProcess === undefined ? {} : { inProcess }),
  };
  return {
    settings: batch === null ? settings : { ...settings, batchSize: Math.max(settings.batchSize, batch.size) },
    open: createOpen(handler, {
      ...invokeDeps,
      ...(idempotency === undefined ? {} : { idempotency }),
      quickRetries: config.server,
      clock,
      random,
      hard,
    }),
    batch: batch === null ? null : { size: batch.size, run: (items) => invokeBatch(name, batch, items, invokeDeps) },
    close: () => deadlines.close(),
  };
}
