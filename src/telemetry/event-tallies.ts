import { sourceOfDeadLetters } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Emit } from './event.ts';
import { listen } from './listen.ts';
import { createBounded, streamLabel } from './metric-labels.ts';
import type { Count, DescribedMetric } from './tally.ts';
import { createCounter, createHistogram } from './tally.ts';

export interface EventTallies {
  /** Counts a fact. Called for each message: allocates nothing for labels it has seen. */
  readonly emit: Emit;
  readonly described: readonly DescribedMetric[];
  render(): string;
}

/** What became of a message in the hands of a handler. */
const outcomes = ['ok', 'retry', 'dead_letter', 'discarded', 'duplicate', 'skipped'] as const;
type Outcome = (typeof outcomes)[number];

const maxHandlers = 500;
const maxStreams = 100;
const maxPlaces = 100;
const handleBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const latencyBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600];

/** The metrics that are counted from facts as they happen. `laneSuffix` is that of the backfill lanes, or null. */
export function createEventTallies(laneSuffix: string | null): EventTallies {
  const published = createCounter({
    name: 'domaind_outbox_published_total',
    help: 'Outbox rows whose publication the broker confirmed.',
    labels: ['database', 'broker'],
  });
  const refused = createCounter({
    name: 'domaind_outbox_refused_total',
    help: 'Publish attempts that the broker refused, by the code of its answer.',
    labels: ['database', 'broker', 'reason'],
  });
  const publishLatency = createHistogram({
    name: 'domaind_outbox_publish_latency_seconds',
    help: 'From the commit of an outbox row to its confirmed publication.',
    labels: ['database', 'broker'],
    bounds: latencyBounds,
  });
  const handled = createCounter({
    name: 'domaind_messages_handled_total',
    help: 'Deliveries by what became of them.',
    labels: ['handler', 'stream', 'outcome'],
  });
  const handleDuration = createHistogram({
    name: 'domaind_message_handle_duration_seconds',
    help: 'Time in the handler, its transaction included.',
    labels: ['handler'],
    bounds: handleBounds,
  });
  const endToEnd = createHistogram({
    name: 'domaind_message_end_to_end_latency_seconds',
    help: 'From the time a message says it was raised to the end of its handling.',
    labels: ['handler'],
    bounds: latencyBounds,
  });
  const reclaimed = createCounter({
    name: 'domaind_reclaimed_messages_total',
    help: 'Entries taken over from consumers that have died.',
    labels: ['handler'],
  });
  const lost = createCounter({
    name: 'domaind_entries_lost_to_trim_total',
    help: 'Pending entries that were trimmed or deleted before they were handled.',
    labels: ['handler', 'stream'],
  });
  const recreated = createCounter({
    name: 'domaind_group_recreated_total',
    help: 'Consumer groups that were lost and made again from the beginning of the stream.',
    labels: ['stream', 'group'],
  });
  const expired = createCounter({
    name: 'domaind_dead_letters_expired_total',
    help: 'Dead letters that were deleted for their age.',
    labels: ['stream'],
  });
  const gapsAbandoned = createCounter({
    name: 'domaind_event_store_gaps_abandoned_total',
    help: 'Positions of the event store that were waited for in vain: what is committed there later is missed.',
    labels: ['handler', 'stream'],
  });
  const droppedLines = createCounter({
    name: 'domaind_log_lines_dropped_total',
    help: 'Log lines that could not be written.',
    labels: [],
  });
  const all = [
    ...[published, refused, publishLatency, handled, handleDuration, endToEnd],
    ...[reclaimed, lost, recreated, expired, gapsAbandoned, droppedLines],
  ];
  droppedLines.child();

  const sourceOf = (deadLetters: string) => label(sourceOfDeadLetters(deadLetters) ?? deadLetters);
  const label = (stream: string) => streamLabel(stream, laneSuffix);

  const outboxOf = createBounded(maxPlaces, (database) =>
    createBounded(maxPlaces, (broker) => ({
      published: published.child(database, broker),
      latency: publishLatency.child(database, broker),
      refusedFor: createBounded(32, (reason) => refused.child(database, broker, reason)),
    })),
  );
  const handlerOf = createBounded(maxHandlers, (handler) => ({
    duration: handleDuration.child(handler),
    endToEnd: endToEnd.child(handler),
    reclaimed: reclaimed.child(handler),
    on: createBounded(maxStreams, (stream) => ({
      lost: lost.child(handler, stream),
      gapsAbandoned: gapsAbandoned.child(handler, stream),
      outcomes: Object.fromEntries(
        outcomes.map((outcome) => [outcome, handled.child(handler, stream, outcome)]),
      ) as Record<Outcome, Count>,
    })),
  }));
  const recreatedOf = createBounded(maxPlaces, (stream) =>
    createBounded(maxHandlers, (group) => recreated.child(stream, group)),
  );

  const expiredOf = createBounded(maxPlaces, (stream) => expired.child(stream));

  interface Failed {
    readonly subscription: string;
    readonly stream: string;
    readonly duration_ms: Millis;
  }
  const failed =
    (outcome: Outcome) =>
    ({ subscription, stream, duration_ms }: Failed): void => {
      const handler = handlerOf(subscription);
      handler.on(label(stream)).outcomes[outcome].value += 1;
      handler.duration.observe(duration_ms / 1_000);
    };

  const emit = listen({
    'outbox.row_published': ({ database, broker, lag_ms }) => {
      const outbox = outboxOf(database)(broker);
      outbox.published.value += 1;
      outbox.latency.observe(Math.max(0, lag_ms) / 1_000);
    },
    'outbox.row_refused': ({ database, broker, reason }) => {
      outboxOf(database)(broker).refusedFor(reason).value += 1;
    },
    'outbox.row_abandoned': ({ database, broker, reason }) => {
      outboxOf(database)(broker).refusedFor(reason).value += 1;
    },
    'delivery.handled': ({ subscription, stream, outcome, duration_ms, lag_ms }) => {
      const handler = handlerOf(subscription);
      handler.on(label(stream)).outcomes[outcome].value += 1;
      if (outcome !== 'ok') return;
      handler.duration.observe(duration_ms / 1_000);
      if (lag_ms !== null) handler.endToEnd.observe(Math.max(0, lag_ms) / 1_000);
    },
    'delivery.retried': failed('retry'),
    'delivery.postponed': failed('retry'),
    'delivery.halted': failed('retry'),
    'delivery.dead_lettered': failed('dead_letter'),
    'delivery.discarded': failed('discarded'),
    'subscription.started': ({ subscription, stream }) => {
      handlerOf(subscription).on(label(stream));
    },
    'deliveries.reclaimed': ({ subscription, count }) => {
      handlerOf(subscription).reclaimed.value += count;
    },
    'entries.lost': ({ subscription, stream, entry_ids }) => {
      handlerOf(subscription).on(label(stream)).lost.value += entry_ids.length;
    },
    'dead_letters.expired': ({ stream, count }) => {
      expiredOf(sourceOf(stream)).value += count;
    },
    'gap.abandoned': ({ subscription, stream, positions }) => {
      handlerOf(subscription).on(label(stream)).gapsAbandoned.value += positions.length;
    },
    'group.recreated': ({ stream, group }) => {
      recreatedOf(label(stream))(group).value += 1;
    },
    'log.lines_dropped': ({ count }) => {
      droppedLines.child().value += count;
    },
  });

  return {
    emit,
    described: all.map(({ described }) => described),
    render: () => all.map((tally) => tally.render()).join('\n'),
  };
}
