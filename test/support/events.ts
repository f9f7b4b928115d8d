import type { BackoffPolicy } from '../../src/runtime/backoff.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { toError } from '../../src/runtime/failure.ts';
import type { LoopOptionsFor } from '../../src/runtime/loop.ts';
import type { Emit, EventName, EventOf, TelemetryEvent } from '../../src/telemetry/event.ts';

/** Facts as they are emitted: what tests wait for and count. */
export interface Events {
  readonly emit: Emit;
  readonly all: readonly TelemetryEvent[];
  names(): readonly string[];
  count(event: TelemetryEvent['event']): number;
  /** All of that name. */
  of<Name extends EventName>(event: Name): readonly EventOf<Name>[];
}

const quiet = new Set([
  'loop.stepped',
  'loop.started',
  'loop.ended',
  'delivery.started',
  'delivery.ended',
  'deliveries.read',
]);

export function createEvents(): Events {
  const all: TelemetryEvent[] = [];
  return {
    emit: (event) => void all.push(event),
    all,
    names: () => all.map(({ event }) => event).filter((event) => !quiet.has(event)),
    count: (event) => all.filter((each) => each.event === event).length,
    of: <Name extends EventName>(event: Name) =>
      all.filter((each): each is EventOf<Name> & TelemetryEvent => each.event === event),
  };
}

const whenFailing: BackoffPolicy = { baseMs: 100, factor: 2, maxMs: 1_000, jitter: 0 };

/** Loops on this clock, whose failures are events. */
export const loopOptionsOn =
  (clock: Clock, { emit }: Events): LoopOptionsFor =>
  (loop) => ({
    clock,
    random: () => 0.5,
    whenFailing,
    observer: {
      started: () => undefined,
      stepped: () => undefined,
      failed: (error, failures, retry_in_ms) =>
        emit({ event: 'loop.failed', loop, failures, retry_in_ms, err: toError(error) }),
      recovered: (failures) => emit({ event: 'loop.recovered', loop, failures }),
      ended: () => undefined,
    },
  });
