import type { Consumer, Delivery, ReadRequest, Settlement } from '../broker/broker.ts';
import type { Fenced } from '../broker/partition.ts';
import type { ServerConfig } from '../config/config.ts';
import { keyInPartition } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { createWake } from '../runtime/wake.ts';
import { keyOf } from './in-hand.ts';
import type { OwnedKey } from './partition-key.ts';
import type { PartitionOwner, PartitionOwnerDeps } from './partition-owner.ts';
import { createPartitionOwner } from './partition-owner.ts';
import { createPartitionQueue } from './partition-queue.ts';
import { createPartitionReading } from './partition-reading.ts';

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

/** Heartbeats of the subscription. */
const forgottenAfter = 5;

/** Feeds the one loop of subscriptions with partitions: all keys of this process through one read. */
export function createPartitionSource(
  config: ServerConfig['partitioning'],
  deps: PartitionSourceDeps,
): PartitionSource {
  const { name, group, groups, owner: ownerName, categories, inOrder, partitions, clock, emit } = deps;
  const stream = categories.join(', ');
  const runs = new Map<string, number>();
  const look = createWake(clock);
  const queue = createPartitionQueue({ inOrder, clock, owns: (key) => owner.owned.get(key.lease.key) === key });
  const owner = createPartitionOwner(config, {
    name,
    stream,
    group,
    groups,
    partitions,
    clock,
    emit,
    onTurn: queue.turn,
    runs: (key) => runs.has(key),
  });
  const { fill, lookThroughAgain, lost } = createPartitionReading({
    partitions,
    queue,
    inOrder,
    clock,
    onLost: owner.lose,
    onFailed: (of, err) => emit({ event: 'partition.failed', subscription: name, stream: of, err }),
  });

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

  function free(key: OwnedKey, delivery: Delivery): void {
    if (key.blockedBy === keyOf(delivery)) {
      key.blockedBy = null;
      owner.changed();
    }
    queue.free(key, delivery);
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
      const handed = queue.handOut(count, ({ suspect }) => !suspect);
      const leftMs = until - clock.monotonic();
      if (handed.length > 0) return handed;
      if (await fill(count)) continue;
      if (leftMs <= 0) return [];
      await queue.rest(leftMs, signal);
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
    for (const { key, delivery } of queue.unspokenSince(before)) {
      if (runs.has(key.lease.key)) continue;
      free(key, delivery);
      lookThroughAgain(key);
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
      return { deliveries: queue.handOut(count, ({ suspect }) => suspect), lost: lost() };
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
      queue.turn(hints.flatMap(({ key }) => owner.owned.get(key) ?? []));
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
