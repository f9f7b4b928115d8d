import type { GroupState } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { loadHandlers } from '../handler/load-handlers.ts';
import { deadLettersOf, failedStream, originOf, replayOf } from '../message/stream-name.ts';
import type { LeaseFacts, OutboxAdmin } from '../outbox/outbox-admin.ts';
import type { Providers } from '../providers.ts';
import { openProviders } from '../providers.ts';
import type { Millis } from '../runtime/clock.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { inEventStore } from '../subscription/event-store-dead-letters.ts';
import type { Inspected } from '../telemetry/monitor.ts';
import { observedLoops } from '../telemetry/observed-loops.ts';
import { withPartitionsOf } from '../worker/partition-inspection.ts';
import type { PlanRow } from '../worker/plan.ts';
import { planFor } from '../worker/plan.ts';
import { inspectedBy } from '../worker/watched.ts';
import type { Arguments } from './arguments.ts';
import type { Io } from './io.ts';
import { openOutboxes } from './outbox-asked.ts';

/** What status is looked up in: the domain's stores, and its subscriptions as the daemon would run them. */
export interface Scene {
  readonly config: Config;
  readonly plan: readonly PlanRow[];
  readonly providers: Providers;
  readonly outboxes: readonly OutboxAdmin[];
  /** What only the daemon knows, one sentence each. */
  readonly hidden: readonly string[];
  close(): Promise<void>;
}

/** Loads the configuration and the handlers, and opens the stores. Connects to nothing yet. Throws ConfigError. */
export async function openScene(given: Arguments, io: Io): Promise<Scene> {
  const { config } = await loadConfig({
    path: given.text('config'),
    env: given.text('env'),
    cwd: io.cwd,
    environment: io.environment,
  });
  const { handlers } = await loadHandlers(config, { clock: systemClock });
  const plan = planFor(config, handlers);
  const emit = () => undefined;
  const loopOptions = observedLoops(systemClock, systemRandom, emit);
  const providers = openProviders(config, { clock: systemClock, random: systemRandom, emit, loopOptions });
  const kept = [...config.databases.values()].some(({ provider }) => provider === 'postgresql');
  const outboxes = config.outbox !== null && kept ? openOutboxes(config, null) : [];
  const inside = [...config.databases.values(), ...config.brokers.values()].filter(
    ({ provider }) => provider === 'memory' || provider === 'inline',
  );
  return {
    config,
    plan,
    providers,
    outboxes,
    hidden: inside.map(({ name, provider }) => `"${name}" (${provider}) lives inside the daemon: ask its /readyz`),
    async close() {
      await Promise.all([providers.close(), ...outboxes.map((each) => each.close())]);
    },
  };
}

export interface OutboxStatus {
  readonly database: string;
  readonly broker: string;
  readonly pending: number;
  readonly failed: number;
  readonly abandoned: number;
  readonly oldestPendingMs: Millis | null;
}

export interface SubscriptionStatus extends GroupState {
  readonly handler: string;
  readonly stream: string;
  readonly group: string;
}

export interface StatusFacts {
  readonly outboxes: readonly OutboxStatus[];
  readonly subscriptions: readonly SubscriptionStatus[];
  readonly deadLetters: readonly { readonly broker: string; readonly stream: string; readonly count: number }[];
  readonly leases: readonly (LeaseFacts & { readonly database: string })[];
}

/** Looks everything up once. Throws UnavailableError where anything cannot be reached: no false number is given out. */
export async function lookUp(scene: Scene): Promise<StatusFacts> {
  const [outboxes, subscriptions, deadLetters, leases] = await Promise.all([
    outboxesIn(scene),
    Promise.all(scene.plan.map((row) => subscriptionsIn(scene, row))),
    deadLettersIn(scene),
    Promise.all(
      scene.outboxes.map(async (outbox) =>
        (await outbox.leases()).map((lease) => ({ database: outbox.database, ...lease })),
      ),
    ),
  ]);
  return { outboxes, subscriptions: subscriptions.flat(), deadLetters, leases: leases.flat() };
}

async function outboxesIn({ config, providers, outboxes }: Scene): Promise<readonly OutboxStatus[]> {
  const settings = config.outbox;
  if (settings === null) return [];
  const all = outboxes.flatMap(({ database }) =>
    [null, ...settings.externalBrokers].map(async (target) => {
      const stats = await providers.database(database).outbox?.stats(target);
      return stats === undefined ? [] : [{ database, broker: target ?? settings.broker, ...stats }];
    }),
  );
  return (await Promise.all(all)).flat();
}

/** Its streams, and what is being replayed to its group, where there is any. */
export async function subscriptionsIn(scene: Scene, row: PlanRow): Promise<readonly SubscriptionStatus[]> {
  const { handler } = row;
  const inStore = inStoreOf(scene, row);
  if (inStore !== null) {
    const { name, group } = handler;
    return Promise.all(
      row.streams.map(async (stream) => ({ handler: name, stream, group, ...(await inStore.inspect(stream, group)) })),
    );
  }
  const broker = brokerOf(scene, row);
  if (broker === null) return [];
  const inspected = withPartitionsOf(row, scene.config, broker);
  const look = async (stream: string) => ({
    handler: handler.name,
    stream,
    group: handler.group,
    ...(await inspected.inspect(stream, handler.group)),
  });
  const streams = row.streams.filter((stream) => originOf(stream) === stream);
  const states = await Promise.all(streams.map(look));
  if (!broker.capabilities.deadLetters) return states;
  const replays = await Promise.all(streams.map((stream) => look(replayOf(stream, handler.group))));
  return [...states, ...replays.filter(({ lag, pending }) => (lag ?? 0) + pending > 0)];
}

async function deadLettersIn(scene: Scene): Promise<StatusFacts['deadLetters']> {
  const found = new Map<string, Promise<StatusFacts['deadLetters'][number]>>();
  for (const row of scene.plan) {
    const inStore = inStoreOf(scene, row);
    for (const category of inStore === null ? [] : row.streams) {
      const stream = failedStream(row.handler.group, category);
      const counted = inStore?.length(deadLettersOf(category)) ?? Promise.resolve(0);
      found.set(
        stream,
        counted.then((count) => ({ broker: inEventStore, stream, count })),
      );
    }
    const broker = brokerOf(scene, row);
    if (broker === null || !broker.capabilities.deadLetters) continue;
    for (const stream of new Set(row.streams.map(deadLettersOf))) {
      const key = JSON.stringify([broker.name, stream]);
      if (found.has(key)) continue;
      found.set(
        key,
        withPartitionsOf(row, scene.config, broker)
          .length(stream)
          .then((count) => ({ broker: broker.name, stream, count })),
      );
    }
  }
  return Promise.all(found.values());
}

/** Of a handler that reads the event store, where it is not inside the daemon. */
const inStoreOf = ({ config, providers }: Scene, row: PlanRow): Inspected | null =>
  row.settings.type === 'event_store' && config.eventStore.provider !== 'memory'
    ? inspectedBy(row, config, providers)
    : null;

function brokerOf({ config, providers }: Scene, { handler, settings }: PlanRow) {
  if (settings.type === 'event_store') return null;
  return config.brokers.get(handler.broker)?.provider === 'inline' ? null : providers.broker(handler.broker);
}
