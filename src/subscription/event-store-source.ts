import type { Consumer } from '../broker/broker.ts';
import type { EventStore } from '../event-store/event-store.ts';
import { createFailures, factsIn, toPosition } from '../event-store/failures.ts';
import type { GapReaderDeps } from '../event-store/gap-reader.ts';
import { createGapReader } from '../event-store/gap-reader.ts';
import type { Positions, Progress } from '../event-store/positions.ts';
import { recordsTo } from '../event-store/subscription-record.ts';
import type { Receipts } from '../handler/unit-of-work.ts';
import { positionStream } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { EventStoreConsumerConfig } from './event-store-consumer.ts';
import { createEventStoreConsumer } from './event-store-consumer.ts';
import type { Hold } from './event-store-hold.ts';
import { createHold, fenced } from './event-store-hold.ts';
import { createSettling } from './event-store-settling.ts';
import { createTrack } from './event-store-track.ts';

export interface EventStoreSourceConfig extends EventStoreConsumerConfig {
  readonly gapTimeoutMs: Millis;
}

export interface EventStoreSourceDeps extends Pick<GapReaderDeps, 'onWait' | 'onGivenUp'> {
  readonly store: EventStore;
  readonly positions: Positions;
  /** The token of the lease under which this owner acts. */
  readonly token: bigint;
  readonly clock: Clock;
  /** Told when another owner has claimed the subscription: nothing more can be written. */
  readonly onLost: () => void;
}

/** What a subscription of the event store is known by, where its position and its lease are kept. */
export const subscriptionKey = (group: string, category: string): string => `${group}-${category}`;

/** So many records of failures are read anew by every owner, until a checkpoint spares it. */
const recordsWithoutCheckpoint = 100;

/** One owner's time with a subscription of the event store: claims its position, and reads on from there. */
export function createEventStoreSource(config: EventStoreSourceConfig, deps: EventStoreSourceDeps) {
  const { group, category, gapTimeoutMs } = config;
  const { store, positions, token, clock, onWait, onGivenUp, onLost } = deps;
  const subscription = subscriptionKey(group, category);
  const toldTo = positionStream(group, category);
  let hold: Hold | null = null;

  function claimed(): Hold {
    if (hold === null) throw fenced(subscription);
    return hold;
  }

  /** -1 where it has never been told. */
  async function toldPosition(): Promise<bigint> {
    const last = await store.lastMessage(toldTo);
    return last === null ? -1n : (toPosition(factsIn(last.dataText)['position']) ?? -1n);
  }

  async function tell(position: bigint): Promise<void> {
    const record = { type: 'Read', facts: { position: Number(position) } } as const;
    await store.append([recordsTo(toldTo, category, [record], clock.now())]);
  }

  async function claim(first: Pick<Progress, 'position' | 'failed'>): Promise<Progress> {
    const progress = await positions.claim(subscription, token, first);
    if (progress === null) {
      onLost();
      throw fenced(subscription);
    }
    // What we tell is never ahead of what we keep: others have read on in our place, and told so.
    return first.position > progress.position ? { ...progress, position: first.position } : progress;
  }

  const receipts: Receipts = {
    fresh: (entryIds) => claimed().fresh(entryIds),
    record: (sql, entryIds) => claimed().record(sql, entryIds),
  };

  return {
    receipts,
    async join(): Promise<Consumer> {
      const failures = createFailures({ group, category }, { store, clock });
      const records = await failures.read();
      if (records > recordsWithoutCheckpoint) await failures.checkpoint();
      const told = await toldPosition();
      const progress = await claim({ position: told, failed: [...failures.open.keys()] });
      const track = createTrack(progress.position);
      const failed = new Set(progress.failed);
      const hasFailed = (position: bigint) => failed.has(position);
      const held = createHold({ positions, subscription, token, track, hasFailed, onLost });
      const settling = createSettling(progress, { hold: held, track, failures, failed, told, tell });
      // Given up, or mended, by an owner that did not come to say so here.
      const gone = progress.failed.filter((each) => !failures.open.has(each));
      if (gone.length > 0) await held.save({ mended: gone });
      for (const position of gone) failed.delete(position);
      await settling.readFailures();
      hold = held;
      const read = createGapReader({ category, gapTimeoutMs }, { store, clock, onWait, onGivenUp });
      return createEventStoreConsumer(config, {
        store,
        clock,
        progress,
        track,
        hold: held,
        failures,
        settling,
        read,
      });
    },
  };
}
