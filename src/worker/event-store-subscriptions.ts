import type { Delivery } from '../broker/broker.ts';
import type { Config, SubscriptionConfig } from '../config/config.ts';
import { readsEventStore } from '../config/reads-event-store.ts';
import type { Owned, Tenure } from '../event-store/ownership.ts';
import { createOwnership } from '../event-store/ownership.ts';
import type { UnitsOfWork } from '../handler/unit-of-work.ts';
import { withReceipts } from '../handler/unit-of-work.ts';
import type { Providers } from '../providers.ts';
import type { Millis } from '../runtime/clock.ts';
import { UnavailableError } from '../runtime/errors.ts';
import type { Service } from '../runtime/service.ts';
import { createEventStoreSource, subscriptionKey } from '../subscription/event-store-source.ts';
import { createGapTeller } from '../subscription/gap-teller.ts';
import type { Opened } from '../subscription/opened.ts';
import { createSubscription } from '../subscription/subscription.ts';
import type { WorkerDeps } from './deps.ts';
import { openHandler } from './open-handler.ts';
import type { PlanRow } from './plan.ts';

/** What the leases of subscriptions of the event store are named by, in every replica of a domain. */
export const leasePrefix = (domain: string): string => `event_store:${domain}`;

/**
 * The services that read the event store for handlers: one subscription a category, each with one owner in the cluster.
 * Leases and positions are kept where the effects are, in the handler's database.
 */
export function eventStoreSubscriptions(
  plan: readonly PlanRow[],
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
): readonly Service[] {
  const { id: owner, clock, emit, loopOptions } = deps;
  for (const warning of warningsOf(plan, config)) emit({ event: 'config.warned', warning });
  const databases = [...new Set(plan.map(({ handler }) => handler.database))];
  return databases.map((database) => {
    const rows = plan.filter(({ handler }) => handler.database === database);
    const owned = rows.flatMap((row) => row.streams.map((category) => ownedBy(row, category, config, providers, deps)));
    const prefix = leasePrefix(config.domain.normalized);
    const { leases } = providers.database(database).keeping;
    return createOwnership({ prefix, owner, lease: config.server.subscriptionLease }, owned, {
      store: leases,
      clock,
      emit,
      loop: loopOptions(`${prefix}:${database}`),
    });
  });
}

/** What can be done and is seldom meant. */
function warningsOf(plan: readonly PlanRow[], config: Config): readonly string[] {
  const names = (rows: readonly PlanRow[]) => rows.map(({ handler }) => handler.name).join(', ');
  const apart = plan.filter(({ handler }) => config.databases.get(handler.database)?.provider === 'memory');
  const alone = config.eventStore.provider === 'memory' || apart.length === 0;
  return [
    ...(alone
      ? []
      : [
          `${names(apart)}: leases and positions are where the effects are, in memory: run one daemon only, which begins anew`,
        ]),
    ...(plan.length === 0 || readsEventStore(config.server.subscriptions)
      ? []
      : [
          `${names(plan)}: what is raised is not in the event store, since domain.toml has nobody read it: say so in [server.subscriptions.<handler>] or [server]`,
        ]),
  ];
}

function ownedBy(row: PlanRow, category: string, config: Config, providers: Providers, deps: WorkerDeps): Owned {
  const { handler, streams } = row;
  const { name, group } = handler;
  const { emit } = deps;
  // Several subscriptions of one handler have loops of one name otherwise.
  const suffix = streams.length > 1 ? `@${category}` : '';
  const named = { ...deps, loopOptions: (loop: string, boundMs?: Millis) => deps.loopOptions(loop + suffix, boundMs) };
  return {
    key: subscriptionKey(group, category),
    onStandBy: () => emit({ event: 'subscription.standing_by', subscription: name, stream: category, group }),
    work: (tenure) => ownSubscription(row, category, tenure, config, providers, named),
  };
}

/** One time of being the owner: reads on from the position that it has claimed, until it must let go. */
export async function ownSubscription(
  { handler, settings }: PlanRow,
  category: string,
  { grant, shutdown, leave }: Tenure,
  config: Config,
  providers: Providers,
  deps: WorkerDeps,
): Promise<void> {
  const { id, clock, random, emit, loopOptions } = deps;
  const { name, group, database } = handler;
  const { positions, together } = providers.database(database).keeping;
  const { unitsOfWork, keys } = providers.database(database);
  const lost = () => new UnavailableError('lease_lost', `${name} on ${category} may have another owner by now`);
  const gaps = createGapTeller({ subscription: name, stream: category }, { clock, emit });
  const source = createEventStoreSource(
    {
      group,
      name: `${name}-${id}`,
      category,
      originStream: settings.originStream,
      positionUpdateInterval: settings.positionUpdateInterval,
      recoverEveryMs: settings.recoverEveryMs,
      gapTimeoutMs: settings.gapTimeoutMs,
      suspects: Math.min(mostSuspects, 2 * settings.batchSize),
    },
    { store: providers.eventStore.store, positions, token: BigInt(grant.token), clock, ...gaps, onLost: leave },
  );
  const receipted: UnitsOfWork = withReceipts(unitsOfWork, name, {
    ...source.receipts,
    async record(sql, entryIds) {
      if (!grant.trusted()) throw lost();
      return source.receipts.record(sql, entryIds);
    },
  });
  const opened = openHandler(
    {
      handler,
      settings: settingsFor(settings),
      unitsOfWork: together ? receipted : unitsOfWork,
      idempotency: providers.redisKeys ?? keys,
      hard: shutdown.hard,
    },
    config,
    deps,
  );
  const inTurn = opened.settings.concurrency === 1;
  const open = (delivery: Delivery): Opened => {
    const found = opened.open(delivery);
    return {
      ...found,
      // One after the other in the order of their positions, not only within a stream.
      key: inTurn ? category : found.key,
      // Asked of the clock: the timers of a process that was paused have yet to tell.
      run: (run) => (grant.trusted() ? found.run(run) : Promise.resolve({ kind: 'unavailable', error: lost() })),
    };
  };
  await createSubscription(opened.settings, {
    name,
    stream: category,
    join: source.join,
    open,
    batch: opened.batch,
    ...(deps.load === undefined ? {} : { load: deps.load }),
    clock,
    random,
    emit,
    loopOptions,
  }).run(shutdown);
  opened.close();
}

/** They are handled one by one: a long batch would take its time. */
const mostSuspects = 200;

/** How often an owner looks after messages that it need not wait for: those of a dead owner, and replays. */
const lookEveryMs: Millis = 1_000;

/**
 * The settings of the shared loop. Messages are handled one after the other unless somebody asks for more: each writes
 * the position with its effects, and would wait for the others to do so. Messages that failed were passed over, so there is time: the first retry waits for
 * `recovery_interval_seconds` at least. What is given up is always kept as a dead letter: it stays in the log.
 */
function settingsFor(settings: SubscriptionConfig): SubscriptionConfig {
  const { retry, recoverEveryMs, origins, concurrency } = settings;
  const { backoff } = retry;
  const baseMs = Math.max(backoff.baseMs, recoverEveryMs ?? 0);
  return {
    ...settings,
    concurrency: origins.get('concurrency')?.origin === 'default' ? 1 : concurrency,
    retry: {
      ...retry,
      maxAttempts: recoverEveryMs === null ? 1 : retry.maxAttempts,
      backoff: { ...backoff, baseMs, maxMs: Math.max(backoff.maxMs, baseMs) },
      onExhausted: retry.onExhausted === 'discard' ? 'dead_letter' : retry.onExhausted,
    },
    reclaimEveryMs: lookEveryMs,
    retentionMaxlen: null,
  };
}
