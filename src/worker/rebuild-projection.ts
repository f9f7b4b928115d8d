import type { Config } from '../config/config.ts';
import { createFailures } from '../event-store/failures.ts';
import { leasesOf } from '../event-store/ownership.ts';
import { recordsTo } from '../event-store/subscription-record.ts';
import { failedStream, positionStream } from '../message/stream-name.ts';
import type { Providers } from '../providers.ts';
import type { Millis } from '../runtime/clock.ts';
import { DomaindError, UnavailableError } from '../runtime/errors.ts';
import type { Grant } from '../runtime/lease.ts';
import { whileLeased } from '../runtime/lease.ts';
import type { Shutdown } from '../runtime/service.ts';
import { createEventStoreDeadLetters } from '../subscription/event-store-dead-letters.ts';
import { subscriptionKey } from '../subscription/event-store-source.ts';
import type { WorkerDeps } from './deps.ts';
import { leasePrefix, ownSubscription } from './event-store-subscriptions.ts';
import { fastForward } from './fast-forward.ts';
import type { PlanRow } from './plan.ts';

export interface RebuildOptions {
  /** Takes the subscription from the replica that owns it, which gets it back at the end. */
  readonly pause: boolean;
  /** Told when the reading begins, with the number of messages there are. */
  readonly onBegin: (total: number) => void;
  /** Told of messages that are handled past the loop, which tells of each itself. */
  readonly onHandled: (count: number) => void;
}

/** How soon it is seen that everything was read, and how long a running owner may take to let go. */
const lookEveryMs: Millis = 200;
const letGoWithinMs: Millis = 60_000;
/** Messages a read, where the projector does not ask for more. */
const batchSize = 500;

/**
 * Reads everything again for one projector, as its only owner: its read model is emptied and its position set back in one
 * transaction, and then the one loop of all subscriptions handles what there is until the end that there was at the
 * beginning. Interrupted, it leaves a position that a daemon, or another rebuild with `keep`, goes on from. Throws
 * DomaindError `projection_runs` where a replica owns it and need not be paused.
 */
export async function rebuildProjection(
  row: PlanRow,
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
  options: RebuildOptions,
  shutdown: Shutdown,
): Promise<void> {
  const { handler } = row;
  const { group } = handler;
  const { clock, id: owner, emit } = deps;
  const { onHandled } = options;
  const { leases } = providers.database(handler.database).keeping;
  const prefix = leasePrefix(config.domain.normalized);
  const done = new AbortController();
  const lost = new AbortController();
  const over = AbortSignal.any([done.signal, shutdown.soft]);
  const names = row.streams.map((category) => leasesOf(prefix, subscriptionKey(group, category)));

  /** Holds a lease that was acquired, until it is all over. */
  function hold(name: string): { readonly granted: Promise<Grant>; readonly ended: Promise<void> } {
    let give: (grant: Grant) => void = () => undefined;
    const granted = new Promise<Grant>((resolve) => {
      give = resolve;
    });
    const onError = (error: unknown) => void emit({ event: 'lease.failed', lease: name, err: error as Error });
    const ended = whileLeased(
      { name, owner, ...config.server.subscriptionLease },
      { store: leases, clock, onChange: () => undefined, onError },
      { soft: over, hard: shutdown.hard },
      async (grant) => {
        give(grant);
        await clock.sleep(Number.MAX_SAFE_INTEGER, AbortSignal.any([over, grant.signal]));
        if (!over.aborted) lost.abort();
      },
    );
    return { granted, ended };
  }

  async function take(name: string, withinMs: Millis): Promise<ReturnType<typeof hold>> {
    const until = clock.monotonic() + withinMs;
    while ((await leases.acquire(name, owner, config.server.subscriptionLease.ttlMs)) === null) {
      if (clock.monotonic() >= until || over.aborted) throw projectionRuns(handler.name, options.pause);
      await clock.sleep(lookEveryMs, over);
    }
    return hold(name);
  }

  const held: ReturnType<typeof hold>[] = [];
  try {
    for (const { pause } of options.pause ? names : []) held.push(await take(pause, 0));
    const owned: Promise<Grant>[] = [];
    for (const { own } of names) {
      const each = await take(own, options.pause ? letGoWithinMs : 0);
      held.push(each);
      owned.push(each.granted);
    }
    const grants = await Promise.all(owned);
    await beginAnew(row, grants, config, providers, deps);
    const counts = await Promise.all(
      row.streams.map((category) => providers.eventStore.store.behind(category, -1n, Number.MAX_SAFE_INTEGER)),
    );
    options.onBegin(counts.reduce((sum, { count }) => sum + count, 0));
    const stop = AbortSignal.any([over, lost.signal]);
    await Promise.all(
      row.streams.map(async (category, index) => {
        const grant = grants[index];
        if (grant !== undefined)
          await readToEnd(row, category, grant, config, providers, { ...deps, onHandled }, stop, shutdown);
      }),
    );
    if (lost.signal.aborted) throw new UnavailableError('lease_lost', 'the lease was lost: run the command again');
  } finally {
    done.abort();
    await Promise.all(held.map(({ ended }) => ended));
  }
}

const projectionRuns = (name: string, asked: boolean): DomaindError =>
  new DomaindError(
    'projection_runs',
    asked
      ? `${name} has an owner that does not let go of it: look at its log`
      : `${name} runs, or is being rebuilt: stop the daemons, or say --pause to take it from them meanwhile`,
  );

/** Sets the position back, and empties the read model with it. What is known of failures goes first: all will be tried. */
async function beginAnew(
  { handler, streams }: PlanRow,
  grants: readonly Grant[],
  config: Config,
  { database, eventStore: { store } }: Providers,
  { clock }: WorkerDeps,
): Promise<void> {
  const { group } = handler;
  const { unitsOfWork, keeping } = database(handler.database);
  const deadLetters = createEventStoreDeadLetters({ store, clock, close: () => undefined });
  for (const category of streams) {
    const failures = createFailures({ group, category }, { store, clock });
    await failures.read();
    await failures.write(
      [...failures.open.keys()].map((position) => ({ type: 'Resolved', facts: { position: Number(position) } })),
    );
    const stream = failedStream(group, category);
    for (;;) {
      const letters = await deadLetters.read({ stream, from: '-', to: '+', count: 500 });
      if (letters.length === 0) break;
      await deadLetters.remove(
        stream,
        letters.map(({ id }) => id),
      );
    }
    const record = { type: 'Read', facts: { position: -1 } } as const;
    await store.append([recordsTo(positionStream(group, category), category, [record], clock.now())]);
  }
  const work = unitsOfWork.beginMany([]);
  try {
    for (const [index, category] of streams.entries()) {
      const token = BigInt(grants[index]?.token ?? 0);
      await keeping.positions.reset(work.sql, subscriptionKey(group, category), token, -1n);
    }
    await handler.reset?.({ sql: work.sql, store: (collection) => work.store(collection), config: config.custom });
    await work.commit();
  } catch (error) {
    await work.rollback();
    throw error;
  }
}

async function readToEnd(
  row: PlanRow,
  category: string,
  grant: Grant,
  config: Config,
  providers: Providers,
  deps: WorkerDeps & Pick<RebuildOptions, 'onHandled'>,
  stop: AbortSignal,
  { hard }: Shutdown,
): Promise<void> {
  const { handler, settings } = row;
  const { keeping, unitsOfWork } = providers.database(handler.database);
  const { positions } = keeping;
  const { store } = providers.eventStore;
  const key = subscriptionKey(handler.group, category);
  const target = await store.head(category);
  if (handler.batch !== null) {
    const { originStream, handlerTimeoutMs } = settings;
    await fastForward(
      { handler, batch: handler.batch, category, subscription: key, originStream, handlerTimeoutMs, target },
      config,
      { store, positions, unitsOfWork, grant, worker: deps, onHandled: deps.onHandled },
      stop,
    );
  }
  const through = new AbortController();
  const soft = AbortSignal.any([stop, through.signal]);
  const looking = (async () => {
    while (!soft.aborted) {
      const progress = await positions.look(key);
      if (progress !== null && progress.position >= target) through.abort();
      else await deps.clock.sleep(lookEveryMs, soft);
    }
  })();
  const faster = { ...row, settings: { ...settings, batchSize: Math.max(settings.batchSize, batchSize) } };
  const tenure = { grant, shutdown: { soft, hard }, leave: () => through.abort() };
  await Promise.all([ownSubscription(faster, category, tenure, config, providers, deps), looking]);
}
