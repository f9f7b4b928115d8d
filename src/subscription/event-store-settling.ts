import type { AttemptRecord, Delivery, Settlement } from '../broker/broker.ts';
import type { Failures } from '../event-store/failures.ts';
import { placeOf } from '../event-store/failures.ts';
import type { Progress } from '../event-store/positions.ts';
import type { SubscriptionRecord } from '../event-store/subscription-record.ts';
import { isObject } from '../message/codec.ts';
import type { JsonObject } from '../message/message.ts';
import { placeIn } from './event-store-delivery.ts';
import type { Hold } from './event-store-hold.ts';
import type { Track } from './event-store-track.ts';

export interface SettlingDeps {
  readonly hold: Hold;
  readonly track: Track;
  readonly failures: Failures;
  /** Messages that failed and were passed over, as the position says: kept up to date here. */
  readonly failed: Set<bigint>;
  /** The position that was told last; an owner may have died before it told the one it had kept. */
  readonly told: bigint;
  /** Writes the position into the store, for people and programs that read it there. */
  readonly tell: (position: bigint) => Promise<void>;
}

/** What becomes of messages of the event store, written down: in the position, and in the store's record of failures. */
export interface Settling {
  /** Messages handled since the position was last told, as far as is known. */
  readonly untold: number;
  /** Handled; written down with the next `save`, or in the same breath where they had failed before. */
  acknowledge(acks: readonly Delivery[]): void;
  /** Those that another owner has by now. */
  settle(settlements: readonly Settlement[]): Promise<readonly Delivery[]>;
  /** Writes the position down, and tells it. False when another owner has the subscription. */
  save(): Promise<boolean>;
  /** Takes note of what was written to the record of failures by others: replays, and what an owner left half done. */
  readFailures(): Promise<void>;
}

const nobody: readonly Delivery[] = [];

export function createSettling(
  progress: Pick<Progress, 'position' | 'ahead'>,
  { hold, track, failures, failed, told: toldAtFirst, tell }: SettlingDeps,
): Settling {
  const aheadAtFirst = new Set(progress.ahead);
  /** Acknowledged, and no longer failed; the record of it is yet to be written. */
  let mended: bigint[] = [];
  let untold = progress.position > toldAtFirst ? 1 : 0;

  function acknowledge(acks: readonly Delivery[]): void {
    for (const { id } of acks) {
      const position = BigInt(id);
      untold += 1;
      const recorded = hold.takeRecorded(position);
      track.done(position);
      if (failed.has(position)) mended.push(position);
      else if (!recorded) hold.done(position);
    }
  }

  async function save(): Promise<boolean> {
    const resolved = mended;
    const position = track.position;
    if (!(await hold.save({ mended: resolved }))) return false;
    await failures.write(resolved.map(toResolved));
    for (const each of resolved) forget(each);
    mended = mended.filter((each) => !resolved.includes(each));
    if (untold > 0) {
      const told = untold;
      await tell(position);
      untold -= told;
    }
    return true;
  }

  function forget(position: bigint): void {
    failed.delete(position);
    failures.forget(position);
  }

  /** Whether the position says that it was handled, or passed over. */
  const isPassed = (position: bigint): boolean =>
    (position < track.next && !track.has(position)) || aheadAtFirst.has(position);

  return {
    get untold() {
      return untold;
    },
    acknowledge,
    save,
    async settle(settlements) {
      const records: SubscriptionRecord[] = [];
      const failing: bigint[] = [];
      const over: bigint[] = [];
      for (const settlement of settlements) {
        const { kind, delivery } = settlement;
        const position = BigInt(delivery.id);
        const edited = failures.open.get(position)?.body ?? null;
        if (kind === 'retry') {
          records.push(toFailed(delivery, settlement.failure, edited));
          failing.push(position);
        } else if (kind === 'dead_letter') {
          records.push(toExhausted(delivery, settlement.body, edited));
          over.push(position);
        } else if (kind === 'ack') acknowledge([delivery]);
      }
      await failures.write(records);
      for (const position of over) if (!failed.has(position)) hold.done(position);
      if (records.length > 0) {
        const change = { failed: failing, mended: over.filter((each) => failed.has(each)) };
        if (!(await hold.save(change))) return settlements.map(({ delivery }) => delivery);
      }
      // Only now: before, a position that is saved meanwhile would pass over what is not yet known to have failed.
      for (const position of [...failing, ...over]) {
        hold.takeRecorded(position);
        track.done(position);
      }
      for (const position of failing) failed.add(position);
      for (const position of over) forget(position);
      if (records.length > 0) await failures.read();
      if (mended.length > 0 && !(await save())) return settlements.map(({ delivery }) => delivery);
      return nobody;
    },
    async readFailures() {
      await failures.read();
      const unknown = [...failures.open.values()].filter(({ position }) => !failed.has(position));
      const stale = unknown.filter(({ position, replayed }) => !replayed && isPassed(position));
      await failures.write(stale.map(({ position }) => toResolved(position)));
      for (const { position } of stale) failures.forget(position);
      const fresh = unknown.filter((each) => !stale.includes(each)).map(({ position }) => position);
      if (fresh.length === 0) return;
      if (!(await hold.save({ failed: fresh }))) return;
      for (const position of fresh) failed.add(position);
    },
  };
}

const toResolved = (position: bigint): SubscriptionRecord => ({
  type: 'Resolved',
  facts: { position: Number(position) },
});

function toFailed(delivery: Delivery, failure: AttemptRecord, edited: string | null): SubscriptionRecord {
  const { id, attempt, history, body } = delivery;
  const { messageId, messageType, stream, streamPosition } = placeIn(body);
  const facts: JsonObject = {
    position: Number(id),
    message_type: messageType,
    message_id: messageId,
    ...placeOf({
      position: BigInt(id),
      stream,
      streamPosition,
      attempts: attempt,
      history: [...history, failure].slice(-longestHistory),
      body: edited,
      replayed: false,
      failedAt: 0,
    }),
  };
  return { type: 'Failed', facts };
}

const longestHistory = 20;

function toExhausted(delivery: Delivery, letter: string, edited: string | null): SubscriptionRecord {
  const { id, attempt, body } = delivery;
  const { messageId, messageType, stream, streamPosition } = placeIn(body);
  const { _dlq_metadata: metadata } = JSON.parse(letter) as JsonObject;
  const facts: JsonObject = {
    position: Number(id),
    message_type: messageType,
    message_id: messageId,
    retry_count: attempt,
    stream_name: stream,
    stream_position: streamPosition,
    dlq_metadata: isObject(metadata) ? metadata : null,
    ...(edited === null ? {} : { body: edited }),
  };
  return { type: 'Exhausted', facts };
}
