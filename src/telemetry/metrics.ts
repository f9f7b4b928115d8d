import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Emit } from './event.ts';
import type { Sample } from './event-gauges.ts';
import { createEventGauges } from './event-gauges.ts';
import { createEventTallies } from './event-tallies.ts';
import type { Gauges } from './gauges.ts';
import { createSnapshot } from './snapshot.ts';
import type { DescribedMetric } from './tally.ts';

export interface MetricsConfig {
  readonly version: string;
  /** The suffix of the backfill lanes; null where there are none. */
  readonly laneSuffix: string | null;
}

export interface MetricsDeps {
  readonly clock: Clock;
  /** Looks the gauges up; asked at a scrape, at most every 5 s. */
  readonly collect: () => Promise<Gauges>;
  readonly onCollectError: (error: unknown) => void;
}

export interface Metrics {
  /** Hears every fact and counts it. */
  readonly emit: Emit;
  readonly contentType: string;
  /** What there is, Node's own apart. */
  readonly described: readonly DescribedMetric[];
  /** Names and words of Node's own. */
  readonly ofNode: readonly Pick<DescribedMetric, 'name' | 'help'>[];
  /**
   * All metrics in the text format of Prometheus. Waits at most a second for gauges that are slow to look up; without
   * `stores`, which are looked at where left out, none is.
   */
  text(stores?: boolean): Promise<string>;
}

/** One rendering serves all scrapes of a second. */
const renderedForMs: Millis = 1_000;
const gaugeTimes = { refreshMs: 5_000, waitMs: 1_000, staleMs: 60_000 };

/** Not of use, and named against the conventions: gauges that end in `_total`. Their sums are in `nodejs_active_resources`. */
const unwanted = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** The metrics of the daemon and of Node, derived from facts and from the gauges. */
export function createMetrics(config: MetricsConfig, deps: MetricsDeps): Metrics {
  const { version, laneSuffix } = config;
  const { clock, collect, onCollectError } = deps;
  const registry = new Registry();
  const tallies = createEventTallies(laneSuffix);
  const snapshot = createSnapshot(gaugeTimes, { collect, clock, onError: onCollectError });
  const state = createEventGauges(clock);
  let gauges: Gauges | null = null;

  const described: DescribedMetric[] = [...tallies.described];

  const gauge = (name: string, help: string, labelNames: readonly string[], samples: () => readonly Sample[]) => {
    described.push({ name: `domaind_${name}`, type: 'gauge', help, labels: labelNames });
    new Gauge({
      name: `domaind_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.set(labels, value);
      },
    });
  };
  const outboxes = (value: (each: Gauges['outboxes'][number]) => number) => () =>
    (gauges?.outboxes ?? []).map((each): Sample => [{ database: each.database, broker: each.broker }, value(each)]);
  const groups = (value: (each: Gauges['subscriptions'][number]) => number | null) => () =>
    (gauges?.subscriptions ?? []).flatMap((each): readonly Sample[] => {
      const known = value(each);
      return known === null ? [] : [[{ handler: each.handler, stream: each.stream }, known]];
    });
  const deadLetters = () => (gauges?.deadLetters ?? []).map(({ stream, count }): Sample => [{ stream }, count]);

  const ofOutbox = ['database', 'broker'];
  gauge(
    'outbox_pending_messages',
    'Outbox rows that wait to be published.',
    ofOutbox,
    outboxes((each) => each.pending),
  );
  gauge(
    'outbox_oldest_pending_age_seconds',
    'Age of the oldest outbox row that waits to be published; 0 where none waits.',
    ofOutbox,
    outboxes((each) => seconds(each.oldestPendingMs) ?? 0),
  );
  gauge(
    'outbox_abandoned_messages',
    'Outbox rows that were given up.',
    ofOutbox,
    outboxes((each) => each.abandoned),
  );
  const ofGroup = ['handler', 'stream'];
  gauge(
    'subscription_lag_messages',
    'Entries that the group has yet to be given.',
    ofGroup,
    groups((each) => each.lag),
  );
  gauge(
    'subscription_lag_seconds',
    'How far behind the end of the stream the group is.',
    ofGroup,
    groups((each) => seconds(each.lagMs)),
  );
  gauge(
    'subscription_pending_messages',
    'Entries that were delivered and are not acknowledged.',
    ofGroup,
    groups((each) => each.pending),
  );
  gauge(
    'subscription_oldest_pending_age_seconds',
    'Age of the oldest entry that is not acknowledged; 0 where there is none.',
    ofGroup,
    groups((each) => (each.pending === 0 ? 0 : seconds(each.oldestPendingMs))),
  );
  gauge('dead_letters_messages', 'Messages given up, on each dead-letter stream.', ['stream'], deadLetters);
  gauge(
    'dead_letters_alert',
    '1 where a dead-letter stream has reached [server.dlq] alert_threshold, 0 where it had.',
    ['stream'],
    state.alerts,
  );
  gauge('messages_in_flight', 'Handlers that run now.', ['handler'], state.inFlight);
  gauge('circuit_breaker_state', '0 closed, 1 half open, 2 open.', ['handler'], state.breakers);
  gauge(
    'partitions_owned',
    'Keys whose messages this process handles, one after the other.',
    ['handler'],
    state.partitions,
  );
  gauge(
    'partitions_blocked',
    'Those of them that stand still behind a message that was given up.',
    ['handler'],
    state.blockedPartitions,
  );
  gauge('lease_owner', '1 where this process holds the lease, 0 where it did.', ['lease'], state.leases);
  gauge(
    'event_store_gap_wait_seconds',
    'How long a subscription of the event store has waited for a transaction to commit; 0 where it waits no more.',
    ['handler'],
    state.gaps,
  );
  gauge('loop_last_progress_seconds', 'Time since the loop last made a step.', ['loop'], state.loops);
  gauge('build_info', 'Always 1; the version is the label.', ['version'], () => [[{ version }, 1]]);
  // At the library's 10 ms the sampling alone takes half a percent of a core.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 25 });
  for (const name of unwanted) registry.removeSingleMetric(name);

  let rendered: { readonly text: Promise<string>; readonly at: Millis; readonly stores: boolean } | null = null;
  const render = async (stores: boolean) => {
    gauges = stores ? await snapshot() : null;
    return `${await registry.metrics()}\n${tallies.render()}`;
  };

  return {
    emit(fact) {
      tallies.emit(fact);
      state.emit(fact);
    },
    contentType: registry.contentType,
    described,
    ofNode: registry
      .getMetricsAsArray()
      .filter(({ name }) => !name.startsWith('domaind_'))
      .map(({ name, help }) => ({ name, help })),
    text(stores = true) {
      const now = clock.monotonic();
      if (rendered === null || rendered.stores !== stores || now - rendered.at >= renderedForMs)
        rendered = { text: render(stores), at: now, stores };
      return rendered.text;
    },
  };
}

const seconds = (ms: Millis | null): number | null => (ms === null ? null : Math.max(0, ms) / 1_000);
