import type { Broker } from '../broker/broker.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import type { OutboxStore } from '../outbox/outbox.ts';
import type { Millis } from '../runtime/clock.ts';
import { MisconfiguredError, UnavailableError } from '../runtime/errors.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service } from '../runtime/service.ts';
import type { Gauges, OutboxGauges, SubscriptionGauges } from './gauges.ts';
import type { HealthState, Reachability } from './health.ts';
import { followGauges } from './health.ts';
import { createProbe } from './probe.ts';

/** Where a subscription reads from: a broker, or the event store. */
export type Inspected = Pick<Broker, 'inspect' | 'length'>;

/** What a daemon depends on and feeds from: asked now and then, never by a scrape or a probe itself. */
export interface Watched {
  readonly databases: readonly { readonly name: string; ping(): Promise<void> }[];
  readonly brokers: readonly Broker[];
  /** Null where it is in memory. */
  readonly eventStore: { ping(): Promise<void> } | null;
  /** Null for the rows of the default broker. */
  readonly outboxes: readonly {
    readonly store: OutboxStore;
    readonly broker: string;
    readonly target: string | null;
  }[];
  readonly subscriptions: readonly {
    readonly handler: string;
    readonly group: string;
    readonly streams: readonly string[];
    readonly broker: Inspected;
  }[];
}

/** Looks the gauges up once: rejects when any store cannot be reached, so that no false number is given out. */
export async function collectGauges({ outboxes, subscriptions }: Watched): Promise<Gauges> {
  const outboxGauges = outboxes.map(async ({ store, broker, target }): Promise<OutboxGauges> => {
    const { pending, failed, abandoned, oldestPendingMs } = await store.stats(target);
    return { database: store.database, broker, pending: pending + failed, abandoned, oldestPendingMs };
  });
  const subscriptionGauges = subscriptions.flatMap(({ handler, group, streams, broker }) =>
    streams.map(
      async (stream): Promise<SubscriptionGauges> => ({
        handler,
        stream,
        ...(await broker.inspect(stream, group)),
      }),
    ),
  );
  const sources = new Map<string, Set<Inspected>>();
  for (const { streams, broker } of subscriptions) {
    for (const stream of streams) sources.set(stream, (sources.get(stream) ?? new Set<Inspected>()).add(broker));
  }
  const deadLetters = [...sources].map(async ([stream, brokers]) => {
    const counts = await Promise.all([...brokers].map((broker) => broker.length(deadLettersOf(stream))));
    return { stream, count: counts.reduce((sum, count) => sum + count, 0) };
  });
  // All at once: what is rejected while another is waited for would be a rejection that nobody handles.
  const [ofOutboxes, ofSubscriptions, letters] = await Promise.all([
    Promise.all(outboxGauges),
    Promise.all(subscriptionGauges),
    Promise.all(deadLetters),
  ]);
  return { outboxes: ofOutboxes, subscriptions: ofSubscriptions, deadLetters: letters };
}

/** Whether the outboxes are empty and no group has anything left to handle. Rejects as `collectGauges` does. */
export async function isQuiet(watched: Watched): Promise<boolean> {
  const { outboxes, subscriptions } = await collectGauges(watched);
  return (
    outboxes.every(({ pending }) => pending === 0) &&
    // A lag that is not known is one of many.
    subscriptions.every(({ lag, pending }) => lag === 0 && (pending ?? 0) === 0)
  );
}

export interface MonitorDeps {
  readonly watched: Watched;
  readonly state: HealthState;
  readonly loop: LoopOptions;
}

const everyMs: Millis = 5_000;
/** What has not answered by then is not there, whatever its own time limit is. */
const patienceMs: Millis = 3_000;

/** Keeps `/readyz` true: asks each database and broker whether it is there, and looks up the lag, every five seconds. */
export function createMonitor({ watched, state, loop: options }: MonitorDeps): Service {
  const { databases, brokers, eventStore } = watched;
  const { clock } = options;
  const silent = () => new UnavailableError('no_answer', `no answer within ${patienceMs / 1_000} s`);
  const probeOf = <Answer>(ask: () => Promise<Answer>) => createProbe(ask, patienceMs, { clock, fault: silent });
  const asked = [
    ...databases.map(({ name, ping }) => noting(probeOf(ping), (answer) => void state.databases.set(name, answer))),
    ...brokers.map((broker) =>
      noting(
        probeOf(() => broker.ping()),
        (answer) => void state.brokers.set(broker.name, answer),
      ),
    ),
    ...(eventStore === null
      ? []
      : [
          noting(
            probeOf(() => eventStore.ping()),
            (answer) => {
              state.eventStore = answer;
            },
          ),
        ]),
  ];
  const gauges = probeOf(() => collectGauges(watched));

  async function look(): Promise<Millis> {
    const [looked] = await Promise.allSettled([gauges(), ...asked.map((ask) => ask())]);
    if (looked.status === 'rejected') throw looked.reason;
    followGauges(state, looked.value);
    return everyMs;
  }

  return { name: 'monitor', run: ({ soft }) => loop(look, soft, options) };
}

const noting = (probe: () => Promise<void>, note: (answer: Reachability) => void) => async () =>
  note(await reachability(probe()));

/** The answer to a ping, as `/readyz` names it: an outage is what is asked after here, not a failure of the asking. */
export const reachability = (ping: Promise<void>): Promise<Reachability> =>
  ping.then(
    () => 'ok',
    (error: unknown) => (error instanceof MisconfiguredError ? 'misconfigured' : 'unreachable'),
  );
