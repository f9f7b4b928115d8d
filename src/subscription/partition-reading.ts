import type { Delivery } from '../broker/broker.ts';
import type { PartitionReply, Partitions } from '../broker/partition.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { OwnedKey } from './partition-key.ts';
import { enqueue, lookThrough } from './partition-key.ts';
import type { PartitionQueue } from './partition-queue.ts';

export interface PartitionReadingDeps {
  readonly partitions: Partitions;
  readonly queue: PartitionQueue;
  readonly inOrder: boolean;
  readonly clock: Clock;
  readonly onLost: (key: OwnedKey) => void;
  /** One key cannot be read; the others are not concerned. */
  readonly onFailed: (stream: string, error: Error) => void;
}

/** From the broker into the queue: many keys in each call. */
export interface PartitionReading {
  /** Reads some of the keys whose turn it is; false where there were none. Throws as the broker does. */
  fill(count: number): Promise<boolean>;
  /** What is pending of a key is looked through from the beginning, but for what is in hand. */
  lookThroughAgain(key: OwnedKey): void;
  /** Ids of entries that were trimmed or deleted while they were pending, since the last call. */
  lost(): readonly string[];
}

/** Entries of a key that wait in memory: enough that a hot key does not wait for a round trip each. */
const entriesAKey = 16;
/** Of large bodies, fewer. */
const bytesAKey = 256 * 1024;
const keysARead = 128;
const pendingAPage = 1_000;
/** How long a key that cannot be read is left alone. */
const pauseMs: Millis = 30_000;

export function createPartitionReading(deps: PartitionReadingDeps): PartitionReading {
  const { partitions, queue, inOrder, clock, onLost, onFailed } = deps;
  let lost: string[] = [];
  let averageBytes = 1_024;

  function lookThroughAgain(key: OwnedKey): void {
    key.recovery = lookThrough(partitions.streamsOf(key.lease.key).length);
    queue.turn([key]);
  }

  function received(key: OwnedKey, { owned, deliveries, more, lost: gone, error }: PartitionReply): void {
    if (!owned) {
      onLost(key);
      return;
    }
    if (error !== null) {
      key.pausedUntil = clock.monotonic() + pauseMs;
      onFailed(partitions.streamsOf(key.lease.key)[1] ?? '', error);
      return;
    }
    lost.push(...gone);
    for (const { body } of deliveries) averageBytes += (body.length - averageBytes) / 32;
    enqueue(key, deliveries, inOrder);
    if (key.recovery === null) key.more = more.length > 0;
    else recovered(key, deliveries, more);
    if (deliveries.length > 0) key.activeAt = clock.monotonic();
    queue.offer(key);
  }

  function recovered(key: OwnedKey, deliveries: readonly Delivery[], more: readonly string[]): void {
    const recovery = partitions.streamsOf(key.lease.key).map((each) => {
      const last = deliveries.findLast(({ stream }) => stream === each);
      return more.includes(each) && last !== undefined ? `(${last.id}` : null;
    });
    key.recovery = recovery.every((each) => each === null) ? null : recovery;
    if (key.recovery !== null) return;
    key.inherited = false;
    // What is new has yet to be looked at.
    key.more = true;
  }

  return {
    lookThroughAgain,
    async fill(count) {
      const chosen = queue.toRead(Math.max(keysARead, count));
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
    },
    lost() {
      const found = lost;
      lost = [];
      return found;
    },
  };
}
