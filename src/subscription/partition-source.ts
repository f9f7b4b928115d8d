import type { Consumer, Delivery, ReadRequest, Settlement } from '../broker/broker.ts';
import type { Fenced, PartitionReply } from '../broker/partition.ts';
import type { ServerConfig } from '../config/config.ts';
import { keyInPartition } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { createWake } from '../runtime/wake.ts';
import { keyOf } from './in-hand.ts';
import type { OwnedKey } from './partition-key.ts';
import { enqueue, lookThrough, mayHandOut, mayRead } from './partition-key.ts';
import type { PartitionOwner, PartitionOwnerDeps } from './partition-owner.ts';
import { createPartitionOwner } from './partition-owner.ts';

export interface PartitionSourceDeps extends Omit<PartitionOwnerDeps, 'onTurn' | 'runs' | 'stream'> {
  readonly owner: string;
  readonly categories: readonly string[];
  /** One delivery of a key at a time; else several, and what failed holds back nothing. */
  readonly inOrder: boolean;
}

/** The partitions of a group as a subscription reads them, and what keeps them this process's. */
export interface PartitionSource {
  readonly consumer: Consumer;
  readonly owner: PartitionOwner;
  /** One round of what keeps the keys this process's, one at a time. Throws as the broker does. */
  look(): Promise<void>;
  /** Listens to hints for at most `ms`. */
  hear(ms: Millis, signal: AbortSignal): Promise<void>;
  /** Resolves after `ms`, or as soon as a key can be had. */
  rest(ms: Millis, signal: AbortSignal): Promise<void>;
  /** Whether the key of a delivery is still this process's: asked right before its handler runs. */
  trusts(delivery: Delivery): boolean;
  /** The handler of a delivery runs: its key is not taken anew meanwhile. Call what it returns when it has ended. */
  running(delivery: Delivery): () => void;
}

/** Entries of a key that wait in memory: enough that a hot key does not wait for a round trip each. */
const entriesAKey = 16;
/** Of large bodies, fewer. */
const bytesAKey = 256 * 1024;
const keysARead = 128;
/** Heartbeats of the subscription. */
const forgottenAfter = 5;
const pendingAPage = 1_000;
/** How long a key that cannot be read is left alone. */
const pauseMs: Millis = 30_000;

/** Feeds the one loop of subscriptions with partitions: all keys of this process through one read. */
export function createPartitionSource(
  config: ServerConfig['partitioning'],
  deps: PartitionSourceDeps,
): PartitionSource {
  const { name, group, groups, owner: ownerName, categories, inOrder, partitions, clock, emit } = deps;
  const stream = categories.join(', ');
  /** Keys to be read, and keys with something to hand out, in turn. */
  const turns = new Set<OwnedKey>();
  const offers = new Set<OwnedKey>();
  /** Those with deliveries in hand. */
  const busy = new Set<OwnedKey>();
  const runs = new Map<string, number>();
  const wake = createWake(clock);
  const look = createWake(clock);
  let lost: string[] = [];
  let averageBytes = 1_024;

  const owner = createPartitionOwner(config, {
    name,
    stream,
    group,
    groups,
    partitions,
    clock,
    emit,
    onTurn: turn,
    runs: (key) => runs.has(key),
  });

  function turn(keys: readonly OwnedKey[]): void {
    for (const key of keys) turns.add(key);
    if (keys.length > 0) wake.notify();
  }

  const nameIn = ({ stream: of }: Delivery): string => {
    for (const category of categories) {
      const key = keyInPartition(category, of);
      if (key !== null) return key;
    }
    return '';
  };

  /** The key of a delivery that was handed out under the lease it has now. */
  function keyWith(delivery: Delivery): OwnedKey | null {
    const key = owner.owned.get(nameIn(delivery));
    return key?.out.has(keyOf(delivery)) === true ? key : null;
  }

  /** Those whose keys are ours, with their leases, and the others. */
  function fenced<Thing>(things: readonly Thing[], deliveryIn: (thing: Thing) => Delivery) {
    const ours: Fenced<Thing>[] = [];
    const others: Delivery[] = [];
    for (const thing of things) {
      const key = keyWith(deliveryIn(thing));
      if (key === null) others.push(deliveryIn(thing));
      else ours.push({ lease: key.lease, thing });
    }
    return { ours, others };
  }

  /** A delivery is out of hand: the next of its key may follow. */
  function free(key: OwnedKey, delivery: Delivery): void {
    key.out.delete(keyOf(delivery));
    if (key.out.size === 0) busy.delete(key);
    if (key.blockedBy === keyOf(delivery)) {
      key.blockedBy = null;
      owner.changed();
    }
    key.activeAt = clock.monotonic();
    offer(key);
  }

  function offer(key: OwnedKey): void {
    if (key.queue.length > 0) offers.add(key);
    else if (key.more || key.recovery !== null) turns.add(key);
    wake.notify();
  }

  function handOut(count: number, wanted: (delivery: Delivery) => boolean): readonly Delivery[] {
    const handed: Delivery[] = [];
    const now = clock.monotonic();
    for (const key of offers) {
      if (handed.length >= count) break;
      if (owner.owned.get(key.lease.key) !== key || key.queue.length === 0) {
        offers.delete(key);
        continue;
      }
      while (handed.length < count && mayHandOut(key, inOrder, now)) {
        const [next] = key.queue;
        if (next === undefined || !wanted(next)) break;
        key.queue.shift();
        key.out.set(keyOf(next), { delivery: next, seenAt: now });
        busy.add(key);
        handed.push(next);
      }
      if (key.queue.length === 0 || (inOrder && key.out.size > 0)) offers.delete(key);
      if (key.queue.length === 0 && key.more) turns.add(key);
    }
    return handed;
  }

  /** Reads some of the keys whose turn it is; false where there were none. */
  async function fill(count: number): Promise<boolean> {
    const now = clock.monotonic();
    const chosen: OwnedKey[] = [];
    for (const key of turns) {
      if (chosen.length >= Math.max(keysARead, count)) break;
      turns.delete(key);
      if (owner.owned.get(key.lease.key) !== key) continue;
      if (mayRead(key, now)) chosen.push(key);
      else key.more = true;
    }
    if (chosen.length === 0) return false;
    const perKey = Math.max(1, Math.min(entriesAKey, Math.floor(bytesAKey / averageBytes)));
    let replies: readonly PartitionReply[] | null = null;
    try {
      replies = await partitions.read(
        chosen.map(({ lease, recovery: from }) => ({ lease, count: from === null ? perKey : pendingAPage, from })),
      );
    } finally {
      // What the lost answer brought is pending for us by now.
      if (replies === null) for (const key of chosen) lookThroughAgain(key);
    }
    for (const [index, key] of chosen.entries()) {
      const reply = replies[index];
      if (reply !== undefined) received(key, reply);
    }
    return true;
  }

  function lookThroughAgain(key: OwnedKey): void {
    key.recovery = lookThrough(partitions.streamsOf(key.lease.key).length);
    turns.add(key);
  }

  function received(key: OwnedKey, { owned, deliveries, more, lost: gone, error }: PartitionReply): void {
    if (!owned) {
      owner.lose(key);
      return;
    }
    if (error !== null) {
      key.pausedUntil = clock.monotonic() + pauseMs;
      emit({
        event: 'partition.failed',
        subscription: name,
        stream: partitions.streamsOf(key.lease.key)[1] ?? '',
        err: error,
      });
      return;
    }
    lost.push(...gone);
    for (const { body } of deliveries) averageBytes += (body.length - averageBytes) / 32;
    enqueue(key, deliveries, inOrder);
    if (key.recovery === null) key.more = more.length > 0;
    else recovered(key, deliveries, more);
    if (deliveries.length > 0) key.activeAt = clock.monotonic();
    offer(key);
  }

  function recovered(key: OwnedKey, deliveries: readonly Delivery[], more: readonly string[]): void {
    const streams = partitions.streamsOf(key.lease.key);
    const recovery = streams.map((each) => {
      const last = deliveries.findLast(({ stream: of }) => of === each);
      return more.includes(each) && last !== undefined ? `(${last.id}` : null;
    });
    key.recovery = recovery.every((each) => each === null) ? null : recovery;
    if (key.recovery !== null) return;
    key.inherited = false;
    // What is new has yet to be looked at.
    key.more = true;
  }

  function standStill(key: OwnedKey, delivery: Delivery): void {
    key.blockedBy = keyOf(delivery);
    owner.changed();
  }

  async function settle(settlements: readonly Settlement[]): Promise<readonly Delivery[]> {
    const { ours, others } = fenced(settlements, ({ delivery }) => delivery);
    if (ours.length === 0) return others;
    const refused = new Set(await partitions.settle(ours));
    const touched = new Set<OwnedKey>();
    for (const { thing } of ours) {
      const { kind, delivery } = thing;
      const key = keyWith(delivery);
      if (key === null) continue;
      if (refused.has(delivery)) owner.lose(key);
      else if (kind === 'halt') standStill(key, delivery);
      else if (kind !== 'retry') {
        key.grown ||= kind === 'ack' || kind === 'dead_letter';
        free(key, delivery);
        touched.add(key);
        // Given back while it is ours: the next look finds it among what is pending.
        if (kind === 'give_back') lookThroughAgain(key);
      }
    }
    await owner.settled([...touched]);
    return [...others, ...refused];
  }

  async function read({ count, blockMs, acks, signal }: ReadRequest): Promise<readonly Delivery[]> {
    if (acks.length > 0) await settle(acks.map((delivery) => ({ kind: 'ack', delivery })));
    const until = clock.monotonic() + blockMs;
    for (;;) {
      if (signal.aborted) return [];
      const handed = handOut(count, ({ suspect }) => !suspect);
      const leftMs = until - clock.monotonic();
      if (handed.length > 0) return handed;
      if (await fill(count)) continue;
      if (leftMs <= 0) return [];
      await wake.rest(leftMs, signal);
    }
  }

  /** What is settled by somebody else lets the next of its key follow; not while its handler runs. */
  async function stillHeld(held: readonly Delivery[]): Promise<readonly Delivery[]> {
    const { ours, others } = fenced(held, (each) => each);
    const now = clock.monotonic();
    for (const { thing } of ours) {
      const handed = keyWith(thing)?.out.get(keyOf(thing));
      if (handed !== undefined) handed.seenAt = now;
    }
    const gone = (await partitions.gone(ours)).filter((delivery) => !runs.has(nameIn(delivery)));
    for (const delivery of gone) {
      const key = keyWith(delivery);
      if (key !== null) free(key, delivery);
    }
    return [...others, ...gone];
  }

  /** What the subscription has not spoken of for long is not in its hand: it is read again. */
  function findForgotten(): void {
    const before = clock.monotonic() - forgottenAfter * config.heartbeatEveryMs;
    for (const key of busy) {
      if (owner.owned.get(key.lease.key) !== key) busy.delete(key);
      if (runs.has(key.lease.key)) continue;
      for (const { delivery, seenAt } of [...key.out.values()]) {
        if (seenAt > before) continue;
        free(key, delivery);
        lookThroughAgain(key);
      }
    }
  }

  let looking: Promise<void> | null = null;
  async function lookOnce(): Promise<void> {
    await owner.look();
    findForgotten();
  }

  const consumer: Consumer = {
    group,
    name: ownerName,
    streams: categories,
    partitioned: true,
    read,
    settle,
    async recordStart(delivery) {
      const [one] = fenced([delivery], (each) => each).ours;
      if (one !== undefined) await partitions.recordStart(one);
    },
    async retake(held) {
      const { ours } = fenced(held, (each) => each);
      const fresh = await partitions.retake(ours);
      const found = new Set(fresh.map(keyOf));
      for (const { thing } of ours) {
        const key = keyWith(thing);
        if (key !== null && !found.has(keyOf(thing))) free(key, thing);
      }
      return fresh;
    },
    heartbeat: stillHeld,
    takeGivenBack: async () => [],
    async reclaim(count) {
      const deliveries = handOut(count, ({ suspect }) => suspect);
      const missing = lost;
      lost = [];
      return { deliveries, lost: missing };
    },
    async trim(keep) {
      const grown = [...owner.owned.values()].filter((key) => key.grown);
      for (const key of grown) key.grown = false;
      return partitions.trim(
        grown.map(({ lease }) => lease.key),
        keep,
      );
    },
    async leave() {
      await owner.drain();
      const rest = [...owner.owned.values()];
      if (rest.length > 0) await partitions.release(rest.map(({ lease }) => lease));
    },
    close: () => partitions.close(),
  };

  return {
    consumer,
    owner,
    look() {
      looking ??= lookOnce().finally(() => {
        looking = null;
      });
      return looking;
    },
    async hear(ms, signal) {
      const hints = await partitions.hear(ms, signal);
      turn(hints.flatMap(({ key }) => owner.owned.get(key) ?? []));
      if (owner.heard(hints)) look.notify();
    },
    rest: (ms, signal) => look.rest(ms, signal),
    trusts(delivery) {
      const key = keyWith(delivery);
      return key !== null && clock.monotonic() < key.trustedUntil;
    },
    running(delivery) {
      const key = nameIn(delivery);
      runs.set(key, (runs.get(key) ?? 0) + 1);
      return () => {
        const left = (runs.get(key) ?? 1) - 1;
        if (left > 0) runs.set(key, left);
        else runs.delete(key);
      };
    },
  };
}
