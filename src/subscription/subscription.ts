import type { Consumer, Delivery } from '../broker/broker.ts';
import type { SubscriptionConfig } from '../config/config.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import type { LoopOptionsFor } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import type { Wake } from '../runtime/wake.ts';
import { createWake } from '../runtime/wake.ts';
import type { Emit } from '../telemetry/event.ts';
import type { Appetite } from './appetite.ts';
import { createAppetite } from './appetite.ts';
import { createHandling } from './create-handling.ts';
import type { BatchDeps } from './handle-batch.ts';
import type { Handling } from './handling.ts';
import type { InHand, Load } from './in-hand.ts';
import { createInHand } from './in-hand.ts';
import type { Opened } from './opened.ts';
import type { Settler } from './settler.ts';
import { createSettler } from './settler.ts';
import { createTending } from './tending.ts';

export interface SubscriptionDeps {
  /** The handler's name. */
  readonly name: string;
  readonly stream: string;
  /** Joins the group. Called again until it succeeds. */
  readonly join: () => Promise<Consumer>;
  readonly open: (delivery: Delivery) => Opened;
  /** Of a handler that takes many at once. */
  readonly batch?: BatchDeps | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly loopOptions: LoopOptionsFor;
  /** Shared with the other subscriptions of the process; left out, there is none. */
  readonly load?: Load;
}

/** What the loops of one subscription share. */
export interface Station {
  readonly config: SubscriptionConfig;
  readonly deps: SubscriptionDeps;
  readonly consumer: Consumer;
  readonly inHand: InHand;
  readonly appetite: Appetite;
  readonly settler: Settler;
  readonly handling: Handling;
  /** Notified when there may be room for another read. */
  readonly room: Wake;
  /** Notified when a retry may be due sooner than thought. */
  readonly due: Wake;
  readonly shutdown: Shutdown;
}

/** So many may wait for a retry before reading pauses. */
const maxInHand = 20_000;

/**
 * Reads deliveries and gives each to the handler: the one loop of every subscription type.
 *
 *   read ──▶ in order by aggregate ──▶ handle ──▶ decide ──▶ settle
 *     ▲        (up to `concurrency`)                  └─ retry: waits in hand, taken again when due
 *     └── the next batch is asked for while this one is handled; it carries the acknowledgements of the last
 *
 * Beside it run: the settlements that no read carries, the retries that fall due, the heartbeats and the search for
 * entries of dead consumers (tending). On the soft stop it reads no more, gives back what has not begun, and finishes
 * what has; on the hard stop it cuts that short and gives it back too.
 */
export function createSubscription(config: SubscriptionConfig, deps: SubscriptionDeps): Service {
  const { name, stream, join, clock, emit, loopOptions } = deps;

  async function joined(stop: AbortSignal): Promise<Consumer | null> {
    let consumer: Consumer | null = null;
    const done = new AbortController();
    const tryJoin = async () => {
      consumer = await join();
      done.abort();
      return 0;
    };
    await loop(tryJoin, AbortSignal.any([stop, done.signal]), loopOptions(`${name}:join`));
    return consumer;
  }

  return {
    name,
    async run(shutdown) {
      const consumer = await joined(shutdown.soft);
      if (consumer === null) return;
      const about = { subscription: name, stream, group: consumer.group };
      emit({ event: 'subscription.started', ...about });
      const station = createStation(config, deps, consumer, shutdown);
      const { settler, handling } = station;
      const finished = new AbortController();
      const abandoned = new AbortController();
      const settling = settler.run(finished.signal, abandoned.signal);
      const tending = createTending(station);
      const tended = tending.run(finished.signal);
      await Promise.all([loop(() => read(station), shutdown.soft, loopOptions(name)), tending.retry(shutdown.soft)]);
      handling.giveBackWaiting();
      await handling.idle();
      finished.abort();
      const limit = clock.sleep(lastSettlementsMs, AbortSignal.any([abandoned.signal])).then(() => abandoned.abort());
      await Promise.all([settling, tended]);
      abandoned.abort();
      await limit;
      await consumer.leave().catch(() => undefined);
      await consumer.close();
      emit({ event: 'subscription.stopped', ...about });
    },
  };
}

/** How long the last settlements may take once everything else has ended. */
const lastSettlementsMs: Millis = 2_000;

function createStation(
  config: SubscriptionConfig,
  deps: SubscriptionDeps,
  consumer: Consumer,
  shutdown: Shutdown,
): Station {
  const { name, clock, loopOptions } = deps;
  const load = deps.load ?? { bytes: 0 };
  const inHand = createInHand(load);
  const room = createWake(clock);
  const due = createWake(clock);
  const settler = createSettler({
    consumer,
    clock,
    loop: loopOptions(`${name}:settle`),
    onSettled: (settled, disowned) => station.handling.settled(settled, disowned),
  });
  const appetite = createAppetite(load);
  const shared = { config, deps, consumer, inHand, appetite, settler, room, due, shutdown };
  const handling = createHandling(shared);
  const station: Station = { ...shared, handling };
  return station;
}

/** One read: as much as there is room for, with the acknowledgements so far. */
async function read({
  config,
  deps,
  consumer,
  inHand,
  appetite,
  settler,
  handling,
  room,
  shutdown,
}: Station): Promise<Millis> {
  const { batchSize, blockMs, tickMs, concurrency } = config;
  const { name, clock, emit } = deps;
  const gate = handling.gate();
  if (gate.kind === 'shut' || gate.kind === 'halted') {
    await room.rest(gate.untilMs, shutdown.soft);
    return 0;
  }
  const limit = gate.kind === 'probe' ? 1 : Math.max(2 * batchSize, concurrency);
  const places = limit - inHand.active;
  const count = Math.min(places, batchSize, appetite.count(inHand.bytes));
  // Where handlers are slower than reads, places come free one by one: a read for each would cost more than many handlers.
  if (count <= 0 || places < Math.min(batchSize, limit / 2) || inHand.size >= maxInHand) {
    await room.rest(blockMs, shutdown.soft);
    return 0;
  }
  const acks = settler.takeAcks();
  let deliveries: readonly Delivery[] | null = null;
  try {
    deliveries = await consumer.read({ count, blockMs, acks, signal: shutdown.soft });
  } finally {
    if (deliveries === null) settler.putBack(acks);
  }
  appetite.ate(deliveries, count);
  if (deliveries.length === 0) return tickMs;
  emit({ event: 'deliveries.read', subscription: name, count: deliveries.length });
  const now = clock.monotonic();
  for (const delivery of deliveries) if (!inHand.has(delivery)) handling.take(inHand.take(delivery, now));
  return tickMs;
}
