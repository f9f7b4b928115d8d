import type { Clock, Millis } from '../runtime/clock.ts';
import type { Emit } from './event.ts';
import type { Gauges } from './gauges.ts';
import { listen } from './listen.ts';

/** Whether something the daemon depends on answered when it was last asked; `unknown` until it was. */
export type Reachability = 'ok' | 'unreachable' | 'misconfigured' | 'unknown';

export interface LoopHealth {
  /** A step is awaited at least this often. */
  readonly boundMs: Millis;
  /** On the monotonic clock. */
  steppedAt: Millis;
}

export interface SubscriptionHealth {
  readonly circuit: 'closed' | 'half_open' | 'open';
  readonly running: boolean;
  /** Another replica runs it, and this one would. */
  readonly standingBy: boolean;
  /** The transaction that holds it up; null where none does. */
  readonly waitsFor: { readonly position: string; readonly pid: number | null; readonly ageMs: Millis | null } | null;
  /** Null where it is not known. */
  readonly lag: number | null;
  readonly lagMs: Millis | null;
  readonly pending: number | null;
}

/** What the endpoints answer from: plain facts in memory, kept by whoever learns them. Never a question to anyone. */
export interface HealthState {
  phase: 'starting' | 'running' | 'draining';
  /** By their names in domain.toml. */
  readonly databases: Map<string, Reachability>;
  readonly brokers: Map<string, Reachability>;
  eventStore: Reachability | null;
  /** Whether writers of the outbox are heard, by database; without that, rows are relayed by polling. */
  readonly hints: Map<string, 'ok' | 'lost'>;
  /** By the handler's name. */
  readonly subscriptions: Map<string, SubscriptionHealth>;
  readonly loops: Map<string, LoopHealth>;
}

export interface HealthAnswer {
  readonly status: 200 | 503;
  readonly body: { readonly [key: string]: unknown };
}

export const createHealthState = (): HealthState => ({
  phase: 'starting',
  databases: new Map(),
  brokers: new Map(),
  eventStore: null,
  hints: new Map(),
  subscriptions: new Map(),
  loops: new Map(),
});

/** Whether the process and its loops are alive. Nothing outside the process has a part in it. */
export function liveness(state: HealthState, now: Millis): HealthAnswer {
  const stalled = state.phase === 'draining' ? [] : stalledLoops(state, now);
  return stalled.length === 0
    ? { status: 200, body: { status: 'ok' } }
    : { status: 503, body: { status: 'stalled', loops: stalled } };
}

const stalledLoops = ({ loops }: HealthState, now: Millis) =>
  [...loops].filter(([, loop]) => isStalled(loop, now)).map(([name]) => name);

/** Whether a loop has made no step within its bound; one that does not run has not. */
export const isStalled = (loop: LoopHealth | undefined, now: Millis): boolean =>
  loop !== undefined && now - loop.steppedAt > loop.boundMs;

/** Whether the process has come up. */
export const startup = ({ phase }: HealthState): HealthAnswer =>
  phase === 'starting' ? { status: 503, body: { status: 'starting' } } : { status: 200, body: { status: 'ok' } };

/** Whether the process does its work: it has come up, is not going down, and reaches all it depends on. */
export function readiness(state: HealthState): HealthAnswer {
  const { phase, databases, brokers, eventStore, hints, subscriptions } = state;
  const reached = [...databases.values(), ...brokers.values(), ...(eventStore === null ? [] : [eventStore])];
  const ready = phase === 'running' && reached.every((each) => each === 'ok');
  return {
    status: ready ? 200 : 503,
    body: {
      status: ready ? 'ok' : phase === 'running' ? 'unavailable' : phase,
      checks: {
        databases: Object.fromEntries(databases),
        brokers: Object.fromEntries(brokers),
        ...(eventStore === null ? {} : { event_store: eventStore }),
        ...(hints.size === 0 ? {} : { wake_up_hints: Object.fromEntries(hints) }),
        shutting_down: phase === 'draining',
        subscriptions: Object.fromEntries(
          [...subscriptions].map(([name, { circuit, running, standingBy, waitsFor, lag, lagMs, pending }]) => [
            name,
            {
              state: running ? 'running' : standingBy ? 'standing_by' : 'stopped',
              circuit,
              lag,
              lag_seconds: lagMs === null ? null : Math.max(0, lagMs) / 1_000,
              pending,
              ...(waitsFor === null
                ? {}
                : {
                    waits_for: {
                      position: waitsFor.position,
                      pid: waitsFor.pid,
                      age_seconds: waitsFor.ageMs === null ? null : waitsFor.ageMs / 1_000,
                    },
                  }),
            },
          ]),
        ),
      },
    },
  };
}

const unknown: SubscriptionHealth = {
  circuit: 'closed',
  running: false,
  standingBy: false,
  waitsFor: null,
  lag: null,
  lagMs: null,
  pending: null,
};

/** Keeps the facts that the stations tell of: the phase, the loops, the circuits. */
export function followEvents(state: HealthState, clock: Clock): Emit {
  const change = (subscription: string, changed: Partial<SubscriptionHealth>) =>
    state.subscriptions.set(subscription, { ...(state.subscriptions.get(subscription) ?? unknown), ...changed });
  return listen({
    'daemon.ready': () => {
      state.phase = 'running';
    },
    'daemon.draining': () => {
      state.phase = 'draining';
    },
    'loop.started': ({ loop, bound_ms }) => {
      state.loops.set(loop, { boundMs: bound_ms, steppedAt: clock.monotonic() });
    },
    'loop.stepped': ({ loop }) => {
      const known = state.loops.get(loop);
      if (known !== undefined) known.steppedAt = clock.monotonic();
    },
    'loop.ended': ({ loop }) => void state.loops.delete(loop),
    'hint.ready': ({ database }) => void state.hints.set(database, 'ok'),
    'hint.lost': ({ database }) => void state.hints.set(database, 'lost'),
    'subscription.started': ({ subscription }) => void change(subscription, { running: true, standingBy: false }),
    'subscription.standing_by': ({ subscription }) => void change(subscription, { standingBy: true }),
    'subscription.stopped': ({ subscription }) => void change(subscription, { running: false, waitsFor: null }),
    'gap.waiting': ({ subscription, position, pid, age_ms }) =>
      void change(subscription, { waitsFor: { position, pid, ageMs: age_ms } }),
    'gap.closed': ({ subscription }) => void change(subscription, { waitsFor: null }),
    'breaker.opened': ({ subscription }) => void change(subscription, { circuit: 'open' }),
    'breaker.half_opened': ({ subscription }) => void change(subscription, { circuit: 'half_open' }),
    'breaker.closed': ({ subscription }) => void change(subscription, { circuit: 'closed' }),
  });
}

/** Keeps the lag and the pending entries that were looked up last; those of several streams of one handler add up. */
export function followGauges(state: HealthState, { subscriptions }: Gauges): void {
  for (const [name, known] of state.subscriptions) {
    const own = subscriptions.filter(({ handler }) => handler === name);
    state.subscriptions.set(name, {
      ...known,
      lag: sum(own.map(({ lag }) => lag)),
      lagMs: own.reduce<Millis | null>((most, { lagMs }) => (lagMs === null ? most : Math.max(most ?? 0, lagMs)), null),
      pending: sum(own.map(({ pending }) => pending)),
    });
  }
}

/** Null where one is not known, or there is none. */
const sum = (values: readonly (number | null)[]): number | null =>
  values.reduce<number | null>(
    (total, value) => (value === null || total === null ? null : total + value),
    values.length === 0 ? null : 0,
  );
