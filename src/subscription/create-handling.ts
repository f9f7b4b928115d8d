import type { Settlement } from '../broker/broker.ts';
import type { Outcome } from '../handler/invoke.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { aboutDelivery } from './about-delivery.ts';
import type { Breaker } from './circuit-breaker.ts';
import { after, at, closed } from './circuit-breaker.ts';
import { composeDeadLetter, toAttemptRecord } from './dead-letter.ts';
import type { Disposition } from './disposition.ts';
import { decide } from './disposition.ts';
import { gateOf } from './gate.ts';
import { createHalt } from './halt.ts';
import type { Task } from './handle-batch.ts';
import { handleBatch } from './handle-batch.ts';
import type { Handling } from './handling.ts';
import { createInBatches } from './in-batches.ts';
import type { Held } from './in-hand.ts';
import { createInOrder } from './in-order.ts';
import type { Opened } from './opened.ts';
import type { Station } from './subscription.ts';

/** Handles, decides, settles and tells, delivery by delivery. */
export function createHandling(station: Omit<Station, 'handling'>): Handling {
  const { config, deps, consumer, inHand, settler, room, due, shutdown } = station;
  const { name, open, clock, random, emit } = deps;
  const { retry } = config;
  const { batch = null } = deps;
  const tasks =
    batch === null
      ? createInOrder<Task>(config.concurrency, handle)
      : createInBatches<Task>(batch.size, (all) => handleBatch(all, batch, { handle, begin, signal, end, conclude }));
  const whenIdle: (() => void)[] = [];
  const halt = createHalt(() => {
    room.notify();
    due.notify();
  });
  let breaker: Breaker = closed;
  let unavailable = 0;
  let running = 0;

  const facts = ({ delivery }: Held, opened: Opened | null) => aboutDelivery(name, consumer.group, delivery, opened);

  async function handle(task: Task): Promise<void> {
    const { held, opened } = task;
    if (held.disowned) return inHand.release(held);
    // Given back, or settled otherwise, while it waited for its turn.
    if (held.state !== 'queued') return;
    const startedAt = begin([task]);
    const outcome = await opened.run({ attempt: held.delivery.attempt, signal: () => signal(held) });
    conclude(task, outcome, end(1, startedAt));
  }

  function begin(all: readonly Task[]): Millis {
    running += all.length;
    for (const { held } of all) {
      held.state = 'running';
      emit({ event: 'delivery.started', subscription: name });
    }
    return clock.monotonic();
  }

  function signal(held: Held): AbortSignal {
    held.cut ??= new AbortController();
    if (held.disowned || shutdown.hard.aborted) held.cut.abort();
    return held.cut.signal;
  }

  /** What each of them took. */
  function end(count: number, startedAt: Millis): Millis {
    running -= count;
    for (let n = 0; n < count; n += 1) emit({ event: 'delivery.ended', subscription: name });
    if (running === 0) for (const resolve of whenIdle.splice(0)) resolve();
    return (clock.monotonic() - startedAt) / count;
  }

  function conclude({ held, opened }: Task, outcome: Outcome, tookMs: Millis): void {
    unavailable = outcome.kind === 'unavailable' ? unavailable + 1 : 0;
    if (outcome.kind === 'done') succeed(held, opened, outcome.effect, tookMs);
    else if (held.disowned) inHand.release(held);
    else if (shutdown.hard.aborted) giveBack(held, opened);
    else settle(held, opened, decide(outcome, held.delivery.attempt, unavailable, retry, random), tookMs);
    move(after(breaker, outcome.kind === 'done', clock.monotonic(), config.breaker));
    room.notify();
  }

  function park(held: Held): void {
    halt.park(held.delivery);
    wait(held, clock.monotonic());
  }

  function succeed(held: Held, opened: Opened, outcome: 'ok' | 'duplicate' | 'skipped', duration_ms: Millis): void {
    inHand.release(held);
    halt.lift(held.delivery);
    settler.add({ kind: 'ack', delivery: held.delivery });
    const lag_ms = opened.raisedAt === null ? null : Math.max(0, clock.now() - opened.raisedAt);
    emit({ event: 'delivery.handled', ...facts(held, opened), outcome, duration_ms, lag_ms });
  }

  function settle(held: Held, opened: Opened | null, disposition: Disposition, duration_ms: Millis): void {
    const { delivery } = held;
    switch (disposition.kind) {
      case 'ack':
        return;
      case 'retry': {
        const { inMs, error } = disposition;
        const failure = toAttemptRecord(error, consumer.name, isoTime());
        settleBy(held, { kind: 'retry', delivery, failure }, () => {
          wait(held, clock.monotonic() + inMs);
          emit({ event: 'delivery.retried', ...facts(held, opened), retry_in_ms: inMs, duration_ms, err: error });
        });
        return;
      }
      case 'postpone': {
        const { inMs, error } = disposition;
        wait(held, clock.monotonic() + inMs);
        emit({ event: 'delivery.postponed', ...facts(held, opened), retry_in_ms: inMs, duration_ms, err: error });
        return;
      }
      case 'dead_letter': {
        const { error } = disposition;
        const { group, name: by } = consumer;
        const about = { group, consumer: by, handler: name, messageId: opened?.messageId ?? null };
        const body = composeDeadLetter(delivery, { ...about, failedAt: isoTime(), error });
        const stream = deadLettersOf(delivery.stream);
        settleBy(held, { kind: 'dead_letter', delivery, stream, body }, () => {
          inHand.release(held);
          halt.lift(held.delivery);
          emit({ event: 'delivery.dead_lettered', ...facts(held, opened), duration_ms, err: error });
        });
        return;
      }
      case 'discard':
        inHand.release(held);
        halt.lift(held.delivery);
        settler.add({ kind: 'ack', delivery });
        emit({ event: 'delivery.discarded', ...facts(held, opened), duration_ms, err: disposition.error });
        return;
      case 'halt': {
        const { error } = disposition;
        const halted = () => {
          wait(held, clock.monotonic() + retry.backoff.maxMs);
          emit({ event: 'delivery.halted', ...facts(held, opened), duration_ms, err: error });
        };
        if (consumer.partitioned) {
          // What is behind it is held back where it comes from; the other partitions go on.
          settleBy(held, { kind: 'halt', delivery, failure: toAttemptRecord(error, consumer.name, isoTime()) }, halted);
          return;
        }
        halt.at(delivery);
        halted();
        for (const task of tasks.drop()) park(task.held);
      }
    }
  }

  function settleBy(held: Held, settlement: Settlement, made: () => void): void {
    held.state = 'settling';
    held.afterwards = (disowned) => {
      held.afterwards = null;
      if (disowned) letGo(held);
      else made();
    };
    settler.add(settlement);
  }

  function wait(held: Held, dueAt: Millis): void {
    inHand.wait(held, dueAt);
    due.notify();
  }

  /** What waits for its next attempt is given back so that nobody takes it before then, or before the search for the dead would. */
  function giveBack(held: Held, opened: Opened | null = null): void {
    const waitMs = held.state === 'waiting' ? held.dueAt - clock.monotonic() : 0;
    const idle = waitMs > 0 ? { idleMs: Math.max(0, config.minIdleMs - waitMs) } : {};
    settleBy(held, { kind: 'give_back', delivery: held.delivery, ...idle }, () => {
      inHand.release(held);
      emit({ event: 'delivery.given_back', ...facts(held, opened) });
    });
  }

  function letGo(held: Held): void {
    inHand.release(held);
    halt.lift(held.delivery);
    emit({ event: 'delivery.disowned', ...facts(held, null) });
  }

  function move(next: Breaker): void {
    if (next.state !== breaker.state) {
      const event = ({ open: 'breaker.opened', closed: 'breaker.closed', half_open: 'breaker.half_opened' } as const)[
        next.state
      ];
      emit({ event, subscription: name });
      if (next.state === 'open') for (const { held } of tasks.drop()) wait(held, next.until);
      room.notify();
      due.notify();
    }
    breaker = next;
  }

  const isoTime = () => new Date(clock.now()).toISOString().replace('Z', '+00:00');

  const taskOf = (held: Held): Task => {
    held.state = 'queued';
    const opened = open(held.delivery);
    return { held, opened };
  };

  return {
    gate() {
      move(at(breaker, clock.monotonic()));
      return gateOf(breaker, halt.stands, inHand.active, clock.monotonic(), config);
    },
    admits: ({ delivery }) => halt.admits(delivery),
    take(held) {
      // What a read brought that was under way when the others had to stop.
      if (breaker.state === 'open') return wait(held, breaker.until);
      if (!halt.admits(held.delivery)) return park(held);
      halt.admitted(held.delivery);
      const task = taskOf(held);
      tasks.add(task.opened.key, task);
    },
    runAlone: (held) => handle(taskOf(held)),
    giveUp(held, error) {
      // To stop at what kills the process would be to die of it again with every start.
      const kind = retry.onExhausted === 'halt' ? 'dead_letter' : retry.onExhausted;
      settle(held, open(held.delivery), { kind, error }, 0);
    },
    settled(settlements, disowned) {
      const lost = new Set(disowned);
      for (const { kind, delivery } of settlements) {
        if (kind !== 'ack') inHand.find(delivery)?.afterwards?.(lost.has(delivery));
      }
    },
    disown(held) {
      held.disowned = true;
      held.cut?.abort();
      if (held.state === 'waiting') letGo(held);
      else emit({ event: 'delivery.disowned', ...facts(held, null) });
    },
    suspect: (held) => emit({ event: 'delivery.suspected', ...facts(held, null) }),
    giveBackWaiting() {
      tasks.drop();
      for (const held of inHand.all()) if (held.state === 'queued' || held.state === 'waiting') giveBack(held);
    },
    idle: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve))),
  };
}
