import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';
import type { Reachability } from '../../src/telemetry/health.ts';
import {
  createHealthState,
  followEvents,
  followGauges,
  liveness,
  readiness,
  startup,
} from '../../src/telemetry/health.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { everyExample, examples } from '../support/telemetry-facts.ts';

function given(...facts: readonly TelemetryEvent[]) {
  const clock = createManualClock(50_000);
  const state = createHealthState();
  const emit = followEvents(state, clock);
  for (const fact of facts) emit(fact);
  return { clock, state, emit, live: () => liveness(state, clock.monotonic()) };
}
const ready = examples['daemon.ready'];
const draining = examples['daemon.draining'];

describe('being alive', () => {
  it('is a matter of the loops alone: databases and brokers may be away', () => {
    const { state, live } = given(ready);
    state.databases.set('default', 'unreachable');
    state.brokers.set('default', 'unreachable');
    assert.deepEqual(live(), { status: 200, body: { status: 'ok' } });
  });

  it('ends when a loop makes no step within its bound, and the answer names it', async () => {
    const { clock, emit, live } = given(ready);
    emit({ event: 'loop.started', loop: 'relay', bound_ms: 1_000 });
    emit({ event: 'loop.started', loop: 'OrderSummary', bound_ms: 60_000 });
    await clock.advance(1_000);
    assert.equal(live().status, 200);
    await clock.advance(1);
    assert.deepEqual(live(), { status: 503, body: { status: 'stalled', loops: ['relay'] } });
    emit({ event: 'loop.stepped', loop: 'relay' });
    assert.equal(live().status, 200);
  });

  it('asks nothing of loops that have ended, or that nobody announced', async () => {
    const { clock, emit, live } = given(ready);
    emit({ event: 'loop.stepped', loop: 'unannounced' });
    emit({ event: 'loop.started', loop: 'relay', bound_ms: 1_000 });
    emit({ event: 'loop.ended', loop: 'relay' });
    await clock.advance(3_600_000);
    assert.equal(live().status, 200);
  });

  it('is not in doubt while the daemon drains: the grace period bounds that', async () => {
    const { clock, emit, live } = given(ready);
    emit({ event: 'loop.started', loop: 'relay', bound_ms: 1_000 });
    emit(draining);
    await clock.advance(10_000);
    assert.equal(live().status, 200);
  });
});

describe('having started', () => {
  it('begins with the first readiness and does not end', () => {
    assert.deepEqual(startup(given().state), { status: 503, body: { status: 'starting' } });
    assert.equal(startup(given(ready).state).status, 200);
    assert.equal(startup(given(ready, draining).state).status, 200);
  });
});

describe('being ready', () => {
  const answers: readonly Reachability[] = ['ok', 'unreachable', 'misconfigured', 'unknown'];
  for (const answer of answers) {
    it(`${answer === 'ok' ? 'is given' : 'is not given'} when a database, a broker or the event store is ${answer}`, () => {
      const ask = (set: (state: ReturnType<typeof createHealthState>) => void) => {
        const { state } = given(ready);
        state.databases.set('default', 'ok');
        state.brokers.set('default', 'ok');
        state.eventStore = 'ok';
        set(state);
        return readiness(state).status;
      };
      const expected = answer === 'ok' ? 200 : 503;
      assert.equal(
        ask((state) => state.databases.set('other', answer)),
        expected,
      );
      assert.equal(
        ask((state) => state.brokers.set('other', answer)),
        expected,
      );
      assert.equal(
        ask((state) => {
          state.eventStore = answer;
        }),
        expected,
      );
    });
  }

  it('is not given before the start is done, or once the daemon drains', () => {
    assert.deepEqual(
      [given(), given(ready), given(ready, draining)].map(({ state }) => {
        const { status, body } = readiness(state);
        return [status, body['status']];
      }),
      [
        [503, 'starting'],
        [200, 'ok'],
        [503, 'draining'],
      ],
    );
  });

  it('is told with every check: what is reached, what runs, how far behind', () => {
    const { state, emit } = given(ready);
    state.databases.set('default', 'ok');
    state.brokers.set('default', 'unreachable');
    emit(examples['subscription.started']);
    emit(examples['breaker.opened']);
    const group = { handler: 'OrderSummary', pending: 2, oldestPendingMs: null };
    followGauges(state, {
      outboxes: [],
      deadLetters: [],
      subscriptions: [
        { ...group, stream: 'bookshelf::order', lag: 3, lagMs: 1_500 },
        { ...group, stream: 'bookshelf::order:backfill', lag: 4, lagMs: 500 },
      ],
    });
    assert.deepEqual(readiness(state), {
      status: 503,
      body: {
        status: 'unavailable',
        checks: {
          databases: { default: 'ok' },
          brokers: { default: 'unreachable' },
          shutting_down: false,
          subscriptions: {
            OrderSummary: { state: 'running', circuit: 'open', lag: 7, lag_seconds: 1.5, pending: 4 },
          },
        },
      },
    });
  });

  it('does not hang on a circuit that is open: its messages wait, the others go on', () => {
    assert.equal(
      readiness(given(ready, examples['subscription.started'], examples['breaker.opened']).state).status,
      200,
    );
  });

  it('tells no lag where none is known, rather than 0', () => {
    const { state } = given(ready, examples['subscription.started']);
    const unknown = {
      handler: 'OrderSummary',
      stream: 's',
      lag: null,
      lagMs: null,
      pending: null,
      oldestPendingMs: null,
    };
    followGauges(state, { outboxes: [], deadLetters: [], subscriptions: [unknown] });
    const { lag, lagMs, pending } = state.subscriptions.get('OrderSummary') ?? {};
    assert.deepEqual([lag, lagMs, pending], [null, null, null]);
  });

  it('follows a circuit and a subscription through their states', () => {
    const { state, emit } = given(ready);
    const seen = [];
    for (const name of [
      'subscription.started',
      'breaker.opened',
      'breaker.half_opened',
      'breaker.closed',
      'subscription.stopped',
    ] as const) {
      emit(examples[name]);
      const { circuit, running } = state.subscriptions.get('OrderSummary') ?? {};
      seen.push([circuit, running]);
    }
    assert.deepEqual(seen, [
      ['closed', true],
      ['open', true],
      ['half_open', true],
      ['closed', true],
      ['closed', false],
    ]);
  });

  it('holds nothing of messages and errors', () => {
    const { state, live } = given(...everyExample);
    const told = JSON.stringify([readiness(state), startup(state), live()]);
    assert.doesNotMatch(told, /declined|m-1|bookshelf::order|c-1|host-1/);
  });
});
