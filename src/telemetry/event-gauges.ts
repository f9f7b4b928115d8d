import { sourceOfDeadLetters } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Emit } from './event.ts';
import { listen } from './listen.ts';

/** One value of a gauge, with its labels. */
export type Sample = readonly [labels: { readonly [label: string]: string }, value: number];

/** The gauges that facts tell of: what runs, what is open, what is owned, what moves. */
export interface EventGauges {
  readonly emit: Emit;
  readonly inFlight: () => readonly Sample[];
  readonly breakers: () => readonly Sample[];
  readonly leases: () => readonly Sample[];
  /** Keys of partitions that this process owns, and those of them that stand still. */
  readonly partitions: () => readonly Sample[];
  readonly blockedPartitions: () => readonly Sample[];
  /** Seconds that a subscription of the event store has waited for a position, when it last said so; 0 when that is over. */
  readonly gaps: () => readonly Sample[];
  /** 1 where a dead-letter stream has more than `[server.dlq] alert_threshold`. */
  readonly alerts: () => readonly Sample[];
  /** Seconds since each loop made its last step. */
  readonly loops: () => readonly Sample[];
}

/** Gauges are kept for no more names than this. */
const maxNames = 1_000;

const breakerStates = { closed: 0, half_open: 1, open: 2 } as const;

const sourceOf = (deadLetters: string): string => sourceOfDeadLetters(deadLetters) ?? deadLetters;

export function createEventGauges(clock: Clock): EventGauges {
  const inFlight = new Map<string, number>();
  const breakers = new Map<string, number>();
  const leases = new Map<string, number>();
  const partitions = new Map<string, number>();
  const blockedPartitions = new Map<string, number>();
  const alerts = new Map<string, number>();
  const gaps = new Map<string, number>();
  const steps = new Map<string, Millis>();

  const put = (values: Map<string, number>, name: string, value: number) => {
    if (values.has(name) || values.size < maxNames) values.set(name, value);
  };
  const moved = ({ loop }: { readonly loop: string }) => put(steps, loop, clock.monotonic());
  const samples = (label: string, values: Map<string, number>) => () =>
    [...values].map(([name, value]): Sample => [{ [label]: name }, value]);

  return {
    emit: listen({
      'delivery.started': ({ subscription }) => put(inFlight, subscription, (inFlight.get(subscription) ?? 0) + 1),
      'delivery.ended': ({ subscription }) => put(inFlight, subscription, (inFlight.get(subscription) ?? 1) - 1),
      'subscription.started': ({ subscription }) => {
        put(inFlight, subscription, inFlight.get(subscription) ?? 0);
        put(breakers, subscription, breakers.get(subscription) ?? breakerStates.closed);
      },
      'dead_letters.above_threshold': ({ stream }) => put(alerts, sourceOf(stream), 1),
      'dead_letters.below_threshold': ({ stream }) => put(alerts, sourceOf(stream), 0),
      'gap.waiting': ({ subscription, waited_ms }) => put(gaps, subscription, waited_ms / 1_000),
      'gap.closed': ({ subscription }) => put(gaps, subscription, 0),
      'breaker.opened': ({ subscription }) => put(breakers, subscription, breakerStates.open),
      'breaker.half_opened': ({ subscription }) => put(breakers, subscription, breakerStates.half_open),
      'breaker.closed': ({ subscription }) => put(breakers, subscription, breakerStates.closed),
      'partitions.changed': ({ subscription, owned, blocked }) => {
        put(partitions, subscription, owned);
        put(blockedPartitions, subscription, blocked);
      },
      'lease.acquired': ({ lease }) => put(leases, lease, 1),
      'lease.lost': ({ lease }) => put(leases, lease, 0),
      'lease.released': ({ lease }) => put(leases, lease, 0),
      'loop.started': moved,
      'loop.stepped': moved,
      'loop.ended': ({ loop }) => void steps.delete(loop),
    }),
    inFlight: samples('handler', inFlight),
    breakers: samples('handler', breakers),
    leases: samples('lease', leases),
    partitions: samples('handler', partitions),
    blockedPartitions: samples('handler', blockedPartitions),
    gaps: samples('handler', gaps),
    alerts: samples('stream', alerts),
    loops: () => {
      const now = clock.monotonic();
      return [...steps].map(([loop, at]): Sample => [{ loop }, (now - at) / 1_000]);
    },
  };
}
