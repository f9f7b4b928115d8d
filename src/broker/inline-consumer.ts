import type { Clock, Millis } from '../runtime/clock.ts';
import type { ConsumeOptions, Consumer, Delivery, ReadRequest, Settlement } from './broker.ts';
import type { InlineGroup, InlinePending, InlineStream } from './inline-stream.ts';
import { forget } from './inline-stream.ts';

export interface InlineConsumerDeps {
  readonly clock: Clock;
  readonly stream: (name: string) => InlineStream;
  readonly append: (stream: string, body: string) => void;
  /** Resolves when something is appended, after `ms`, or when `signal` aborts. */
  readonly appended: (ms: Millis, signal: AbortSignal) => Promise<void>;
}

/** Holds what was given back. */
const nobody = '';

/** One consumer of a group in memory, by the same rules as the one of Redis. */
export function createInlineConsumer(options: ConsumeOptions, deps: InlineConsumerDeps): Consumer {
  const { streams, group, consumer: name } = options;
  const { clock, stream, append, appended } = deps;
  const hand = new Set<InlinePending>();
  const groupOn = (streamName: string) => stream(streamName).group(group);
  for (const each of streams) groupOn(each);

  const ours = ({ stream: streamName, id }: Delivery): InlinePending | null => {
    const pending = groupOn(streamName).pending.get(id);
    return pending?.consumer === name ? pending : null;
  };

  function deliver(streamName: string, pending: InlinePending, suspect: boolean, redelivered: boolean): Delivery {
    const { histories, crashes } = groupOn(streamName);
    const { id, body } = pending.entry;
    const history = histories.get(id) ?? [];
    pending.consumer = name;
    pending.touchedAt = clock.monotonic();
    pending.deliveries += 1;
    hand.add(pending);
    return {
      id,
      stream: streamName,
      body,
      bare: false,
      raw: null,
      attempt: history.length + 1,
      history,
      redelivered,
      suspect,
      crashes: crashes.get(id) ?? 0,
    };
  }

  function takeNew(count: number): readonly Delivery[] {
    const taken: Delivery[] = [];
    for (const each of streams) {
      const place = groupOn(each);
      const fresh = stream(each).entries.slice(place.next, place.next + count - taken.length);
      place.next += fresh.length;
      for (const entry of fresh) {
        const pending: InlinePending = { entry, consumer: name, touchedAt: 0, deliveries: 0 };
        place.pending.set(entry.id, pending);
        taken.push(deliver(each, pending, false, false));
      }
    }
    return taken;
  }

  /** Pending entries of the streams that `wanted` picks, delivered once more. */
  function takePending(count: number, wanted: (pending: InlinePending) => boolean): readonly Delivery[] {
    const picked = streams.flatMap((each) =>
      [...groupOn(each).pending.values()].filter(wanted).map((pending) => ({ each, pending })),
    );
    return picked.slice(0, count).map(({ each, pending }) => deliver(each, pending, pending.deliveries >= 1, true));
  }

  /** What a consumer of the same name left behind. */
  const missing = (count: number) => takePending(count, (pending) => pending.consumer === name && !hand.has(pending));

  function settleOne(settlement: Settlement): boolean {
    const { kind, delivery } = settlement;
    const place = groupOn(delivery.stream);
    const pending = ours(delivery);
    switch (kind) {
      case 'ack':
        // Whoever owns it by now: the handler has done its work.
        letGo(place, delivery.id);
        return true;
      case 'retry':
        if (pending === null) return false;
        place.histories.set(delivery.id, [...delivery.history, settlement.failure]);
        place.crashes.delete(delivery.id);
        pending.touchedAt = clock.monotonic();
        return true;
      case 'dead_letter':
        if (!place.pending.has(delivery.id)) return true;
        if (pending === null) return false;
        append(settlement.stream, settlement.body);
        letGo(place, delivery.id);
        return true;
      case 'give_back':
        if (pending === null) return place.pending.get(delivery.id)?.consumer === nobody;
        hand.delete(pending);
        giveBack(pending);
        place.crashes.set(delivery.id, delivery.crashes);
        return true;
    }
  }

  function letGo(place: InlineGroup, id: string): void {
    const pending = place.pending.get(id);
    if (pending !== undefined) hand.delete(pending);
    forget(place, id);
  }

  return {
    group,
    name,
    streams,
    async read({ count, blockMs, acks, signal }: ReadRequest) {
      for (const delivery of acks) settleOne({ kind: 'ack', delivery });
      const until = clock.monotonic() + blockMs;
      for (;;) {
        if (signal.aborted) return [];
        const before = missing(count);
        const taken = before.length > 0 ? before : takeNew(count);
        const leftMs = until - clock.monotonic();
        if (taken.length > 0 || leftMs <= 0) return taken;
        await appended(leftMs, signal);
      }
    },
    settle: async (settlements) =>
      settlements.filter((settlement) => !settleOne(settlement)).map(({ delivery }) => delivery),
    async recordStart(delivery) {
      const { crashes } = groupOn(delivery.stream);
      if (ours(delivery) !== null) crashes.set(delivery.id, (crashes.get(delivery.id) ?? 0) + 1);
    },
    async retake(held) {
      return held.flatMap((delivery) => {
        const pending = ours(delivery);
        if (pending === null) return [];
        const fresh = deliver(delivery.stream, pending, false, true);
        return [{ ...fresh, suspect: delivery.suspect && fresh.crashes > 0 }];
      });
    },
    async heartbeat(held) {
      return held.filter((delivery) => {
        const pending = ours(delivery);
        if (pending !== null) pending.touchedAt = clock.monotonic();
        return pending === null;
      });
    },
    async reclaim(count, minIdleMs) {
      const before = clock.monotonic() - minIdleMs;
      const deliveries = takePending(count, (pending) => pending.touchedAt <= before && !hand.has(pending));
      return { deliveries, lost: [] };
    },
    async leave() {
      for (const each of streams) {
        for (const pending of groupOn(each).pending.values()) {
          if (pending.consumer === name && !hand.has(pending)) giveBack(pending);
        }
      }
    },
    close: async () => undefined,
  };
}

function giveBack(pending: InlinePending): void {
  pending.consumer = nobody;
  pending.touchedAt = Number.NEGATIVE_INFINITY;
  pending.deliveries = 0;
}
