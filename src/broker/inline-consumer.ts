import type { Clock, Millis } from '../runtime/clock.ts';
import type { ConsumeOptions, Consumer, Delivery, ReadRequest, Settlement } from './broker.ts';
import type { InlinePending, InlineStream } from './inline-stream.ts';
import { forget } from './inline-stream.ts';
import { lanesIn } from './lanes.ts';

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
  const { group, consumer: name } = options;
  const lanes = lanesIn(options);
  const streams = lanes.flat();
  const { clock, stream, append, appended } = deps;
  const hand = new Map<string, InlinePending>();
  let mayMiss = true;
  let turn = 0;
  const groupOn = (streamName: string) => stream(streamName).group(group);
  for (const each of streams) groupOn(each);

  const inHand = (pending: InlinePending) => hand.get(keyOf(pending.stream, pending.entry.id)) === pending;
  const release = ({ stream: streamName, id }: Delivery) => hand.delete(keyOf(streamName, id));

  /** The pending entry of a delivery; null, and out of our hand, when it is no longer ours. */
  function ours(delivery: Delivery): InlinePending | null {
    const pending = groupOn(delivery.stream).pending.get(delivery.id);
    if (pending?.consumer === name) return pending;
    release(delivery);
    return null;
  }

  function touch(pending: InlinePending): void {
    pending.consumer = name;
    pending.touchedAt = clock.monotonic();
    pending.deliveries += 1;
  }

  function deliver(pending: InlinePending, suspect: boolean, redelivered: boolean): Delivery {
    const { entry, stream: streamName } = pending;
    const { id, body } = entry;
    const { histories, crashes } = groupOn(streamName);
    const history = histories.get(id) ?? [];
    touch(pending);
    hand.set(keyOf(streamName, id), pending);
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

  /** An equal share for each stream, then what is left for those that have more: as `readInTurn` of Redis does. */
  function takeNew(count: number): readonly Delivery[] {
    const share = Math.ceil(count / lanes.length);
    const inTurn = lanes.map((_, index) => lanes[(turn + index) % lanes.length] ?? []);
    const taken: Delivery[] = [];
    const more: (readonly string[])[] = [];
    for (const each of inTurn) {
      const limit = Math.min(share, count - taken.length);
      const fresh = takeFrom(each, limit);
      taken.push(...fresh);
      if (limit > 0 && fresh.length === limit) more.push(each);
    }
    for (const each of more) taken.push(...takeFrom(each, count - taken.length));
    if (taken.length > 0) turn += 1;
    return taken;
  }

  function takeFrom(inPreference: readonly string[], limit: number): readonly Delivery[] {
    const taken: Delivery[] = [];
    for (const each of inPreference) {
      const place = groupOn(each);
      const fresh = stream(each).entries.slice(place.next, place.next + limit - taken.length);
      place.next += fresh.length;
      for (const entry of fresh) {
        const pending: InlinePending = { entry, stream: each, consumer: name, touchedAt: 0, deliveries: 0 };
        place.pending.set(entry.id, pending);
        taken.push(deliver(pending, false, false));
      }
    }
    return taken;
  }

  /** Pending entries that `wanted` picks, delivered once more. */
  function takePending(count: number, wanted: (pending: InlinePending) => boolean): readonly Delivery[] {
    const picked = streams.flatMap((each) => [...groupOn(each).pending.values()].filter(wanted));
    return picked.slice(0, count).map((pending) => deliver(pending, pending.deliveries >= 1, true));
  }

  /** What a consumer of the same name left behind: looked for until there is none. */
  function missing(count: number): readonly Delivery[] {
    if (!mayMiss) return [];
    const found = takePending(count, (pending) => pending.consumer === name && !inHand(pending));
    mayMiss = found.length > 0;
    return found;
  }

  function settleOne(settlement: Settlement): boolean {
    const { kind, delivery } = settlement;
    const place = groupOn(delivery.stream);
    const pending = ours(delivery);
    switch (kind) {
      case 'ack':
        // Whoever owns it by now: the handler has done its work.
        release(delivery);
        forget(place, delivery.id);
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
        release(delivery);
        forget(place, delivery.id);
        return true;
      case 'give_back':
        if (pending === null) return place.pending.get(delivery.id)?.consumer === nobody;
        release(delivery);
        giveBack(pending);
        if (settlement.idleMs !== undefined) pending.touchedAt = clock.monotonic() - settlement.idleMs;
        place.crashes.set(delivery.id, delivery.crashes);
        return true;
      case 'halt':
        return pending !== null;
    }
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
      const pending = ours(delivery);
      if (pending === null) return;
      pending.touchedAt = clock.monotonic();
      crashes.set(delivery.id, (crashes.get(delivery.id) ?? 0) + 1);
    },
    async retake(held) {
      return held.flatMap((delivery) => {
        const pending = ours(delivery);
        if (pending === null) return [];
        const fresh = deliver(pending, false, true);
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
    async takeGivenBack(count, minIdleMs) {
      const before = clock.monotonic() - minIdleMs;
      return takePending(count, (each) => each.consumer === nobody && each.touchedAt <= before);
    },
    async reclaim(count, minIdleMs) {
      const before = clock.monotonic() - minIdleMs;
      // As XAUTOCLAIM does: what is in our hand becomes ours again without a word.
      for (const pending of hand.values()) if (pending.touchedAt <= before) touch(pending);
      const own = missing(count);
      const others = takePending(count - own.length, (each) => each.touchedAt <= before && !inHand(each));
      return { deliveries: [...own, ...others], lost: [] };
    },
    trim: async (keep) => streams.reduce((removed, each) => removed + stream(each).trim(keep), 0),
    async leave() {
      for (const each of streams) {
        for (const pending of groupOn(each).pending.values()) {
          if (pending.consumer === name && !inHand(pending)) giveBack(pending);
        }
      }
    },
    close: async () => undefined,
  };
}

const keyOf = (stream: string, id: string): string => `${stream} ${id}`;

function giveBack(pending: InlinePending): void {
  pending.consumer = nobody;
  pending.touchedAt = Number.NEGATIVE_INFINITY;
  pending.deliveries = 0;
}
