import type { Delivery } from '../broker/broker.ts';
import type { Millis } from '../runtime/clock.ts';
import { CrashLoopError } from '../runtime/errors.ts';
import { loop } from '../runtime/loop.ts';
import { createWake } from '../runtime/wake.ts';
import type { Held } from './in-hand.ts';
import type { Station } from './subscription.ts';

/** What keeps a consumer's hand in order beside the reading: retries that fall due, heartbeats, the dead's entries. */
export interface Tending {
  /** Hands deliveries whose wait is over to their handler again, until `stop`. */
  retry(stop: AbortSignal): Promise<void>;
  /** Heartbeats, reclaims and suspects, until `finished`; no more reclaims after the soft stop. */
  run(finished: AbortSignal): Promise<void>;
}

/** A wish (`retention_maxlen`): nothing that a group has yet to acknowledge is removed. */
const trimEveryMs: Millis = 30_000;
const lookEveryMs: Millis = 1_000;
const shortRestMs: Millis = 100;

export function createTending(station: Station): Tending {
  const { config, deps, consumer, inHand, appetite, handling, due, shutdown } = station;
  const { minIdleMs, heartbeatEveryMs, reclaimEveryMs, batchSize, concurrency, retry, handlerTimeoutMs } = config;
  const { name, clock, emit, loopOptions } = deps;
  const suspected = createWake(clock);
  const suspects: Held[] = [];
  const restMs = 10_000;
  let reclaimAt = 0;
  let trimAt = clock.monotonic() + trimEveryMs;

  async function retryDue(stop: AbortSignal): Promise<number> {
    const nextAt = inHand.nextDueAt();
    if (nextAt === null || nextAt > clock.monotonic()) {
      await due.rest(nextAt === null ? restMs : Math.min(restMs, nextAt - clock.monotonic()), stop);
      return 0;
    }
    const gate = handling.gate();
    if (gate.kind === 'shut') {
      await due.rest(gate.untilMs, stop);
      return 0;
    }
    const limit = Math.min(gate.kind === 'probe' ? 1 : batchSize, appetite.count(inHand.bytes));
    const all = inHand.due(clock.monotonic(), gate.kind === 'halted' ? inHand.size : limit);
    const held = (gate.kind === 'halted' ? all.filter(handling.admits) : all).slice(0, limit);
    if (held.length === 0) {
      await due.rest(shortRestMs, stop);
      return 0;
    }
    const fresh = await consumer.retake(held.map(({ delivery }) => delivery));
    const now = clock.monotonic();
    for (const each of held) {
      const delivery = fresh.find(({ id, stream }) => id === each.delivery.id && stream === each.delivery.stream);
      if (delivery === undefined) {
        handling.disown(each);
        continue;
      }
      inHand.release(each);
      handling.take(inHand.take(delivery, now));
    }
    return 0;
  }

  async function tend(): Promise<number> {
    await heartbeat();
    let restMs = Math.min(heartbeatEveryMs, reclaimEveryMs);
    if (!shutdown.soft.aborted && clock.monotonic() >= reclaimAt) {
      // Where some were left behind there may be more: the next ones as soon as there is room.
      const more = await reclaim();
      if (more) restMs = Math.min(restMs, shortRestMs);
      reclaimAt = clock.monotonic() + (more ? 0 : reclaimEveryMs);
    }
    if (config.retentionMaxlen !== null && clock.monotonic() >= trimAt) {
      trimAt = clock.monotonic() + trimEveryMs;
      await consumer.trim(config.retentionMaxlen);
    }
    return restMs;
  }

  /** What a stopping consumer gave back is looked for more often than what the dead left: a restart costs its messages no more. */
  async function takeBack(): Promise<number> {
    const count = roomFor();
    if (count > 0 && take(await consumer.takeGivenBack(count, minIdleMs)) >= count) return shortRestMs;
    // Together with the other subscriptions of this process: their questions then go in few packets.
    return lookEveryMs - (clock.monotonic() % lookEveryMs);
  }

  async function heartbeat(): Promise<void> {
    const now = clock.monotonic();
    const held = inHand.unseenSince(now - heartbeatEveryMs / 2);
    if (held.length === 0) return;
    const lost = new Set(await consumer.heartbeat(held.map(({ delivery }) => delivery)));
    for (const each of held) {
      if (lost.has(each.delivery)) handling.disown(each);
      else each.seenAt = now;
    }
  }

  /** Whether there may be more. */
  async function reclaim(): Promise<boolean> {
    const count = roomFor();
    if (count <= 0) return true;
    const { deliveries, lost } = await consumer.reclaim(count, minIdleMs);
    if (lost.length > 0) emit({ event: 'entries.lost', subscription: name, stream: deps.stream, entry_ids: lost });
    return take(deliveries) > 0;
  }

  /** Beyond what the reads may fill, so that what somebody had before never waits for the end of a backlog. */
  function roomFor(): number {
    if (handling.gate().kind !== 'open') return 0;
    const room = Math.max(2 * batchSize, concurrency) + batchSize - inHand.active;
    return Math.min(batchSize, room, appetite.count(inHand.bytes));
  }

  function take(deliveries: readonly Delivery[]): number {
    const fresh = deliveries.filter((delivery) => !inHand.has(delivery));
    if (fresh.length === 0) return 0;
    emit({ event: 'deliveries.reclaimed', subscription: name, count: fresh.length });
    appetite.ate(fresh, fresh.length);
    const now = clock.monotonic();
    for (const delivery of fresh) {
      const held = inHand.take(delivery, now);
      if (delivery.suspect) suspects.push(held);
      else handling.take(held);
    }
    suspected.notify();
    return fresh.length;
  }

  /** One at a time, each counted before it runs: what kills the process is then the only one that was counted. */
  async function examine(): Promise<number> {
    const held = suspects[0];
    if (held === undefined) {
      await suspected.rest(restMs, shutdown.soft);
      return 0;
    }
    const { delivery } = held;
    handling.suspect(held);
    // The first crash was not counted: it is what made this delivery a suspect.
    if (delivery.crashes + 1 >= retry.maxCrashes) {
      suspects.shift();
      const times = delivery.crashes + 1;
      handling.giveUp(held, new CrashLoopError(`the process has died ${times} times with this message in hand`));
      return 0;
    }
    await consumer.recordStart(delivery);
    suspects.shift();
    if (shutdown.soft.aborted) return 0;
    await handling.runAlone(held);
    return 0;
  }

  return {
    retry: (stop) => loop(() => retryDue(stop), stop, loopOptions(`${name}:retry`)),
    async run(finished) {
      await Promise.all([
        loop(tend, finished, loopOptions(`${name}:tend`)),
        loop(takeBack, shutdown.soft, loopOptions(`${name}:hand-over`)),
        loop(examine, shutdown.soft, loopOptions(`${name}:examine`, handlerTimeoutMs + 60_000)),
      ]);
    },
  };
}
