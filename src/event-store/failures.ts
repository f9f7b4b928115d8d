import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';
import { checkpointStream, failedStream } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { EventStore, StoredMessage } from './event-store.ts';
import type { SubscriptionRecord } from './subscription-record.ts';
import { recordsTo } from './subscription-record.ts';

/** One try that failed, as the record of it says. */
export interface FailedAttempt {
  readonly time: string;
  readonly consumer: string;
  readonly error_type: string;
  readonly error_message: string;
}

/** A message that failed and was passed over, and is to be tried again. */
export interface FailedMessage {
  readonly position: bigint;
  /** Its place in its own stream; null where the record does not say. */
  readonly stream: string | null;
  readonly streamPosition: number | null;
  /** Tries so far; 0 for one that was replayed. */
  readonly attempts: number;
  /** Those that are written down, oldest first. */
  readonly history: readonly FailedAttempt[];
  /** In place of the stored message's body: an operator has edited it. Null: as it is stored. */
  readonly body: string | null;
  /** A dead letter that was brought back: due at once. */
  readonly replayed: boolean;
  /** When the last record about it was written, by the store's clock. */
  readonly failedAt: Millis;
}

/** The last state of each message that has ever failed, as records are read one after the other. */
export interface Failures {
  /** To be tried again, by position. */
  readonly open: ReadonlyMap<bigint, FailedMessage>;
  /** Reads what was written since the last time, the first time since the last checkpoint; how many records. */
  read(): Promise<number>;
  write(records: readonly SubscriptionRecord[]): Promise<void>;
  /** It is known to be over, before the record of it is read. */
  forget(position: bigint): void;
  /** Lets the next owner begin to read from here. */
  checkpoint(): Promise<void>;
}

const pageSize = 1_000;

export function createFailures(
  { group, category }: { readonly group: string; readonly category: string },
  { store, clock }: { readonly store: EventStore; readonly clock: Clock },
): Failures {
  const stream = failedStream(group, category);
  const checkpoints = checkpointStream(group, category);
  const open = new Map<bigint, FailedMessage>();
  let next: number | null = null;

  async function fromCheckpoint(): Promise<number> {
    const last = await store.lastMessage(checkpoints);
    if (last === null) return 0;
    const { watermark, unresolved } = factsIn(last.dataText);
    for (const [key, about] of Object.entries(isObject(unresolved) ? unresolved : {})) {
      const position = toPosition(key);
      if (position !== null && isObject(about)) open.set(position, toFailed(position, about, last));
    }
    return typeof watermark === 'number' ? watermark : 0;
  }

  return {
    open,
    async read() {
      next ??= await fromCheckpoint();
      let count = 0;
      for (;;) {
        const from: number = next;
        const page = await store.readStream(stream, from, pageSize);
        // Another read has come further meanwhile: what it has read is not to be counted twice.
        if (next !== from) continue;
        for (const record of page) follow(open, record);
        next += page.length;
        count += page.length;
        if (page.length < pageSize) return count;
      }
    },
    async write(records) {
      if (records.length > 0) await store.append([recordsTo(stream, category, records, clock.now())]);
    },
    forget: (position) => void open.delete(position),
    async checkpoint() {
      const unresolved = Object.fromEntries([...open].map(([position, each]) => [String(position), placeOf(each)]));
      const record = { type: 'Checkpoint', facts: { watermark: next ?? 0, unresolved } } as const;
      await store.append([recordsTo(checkpoints, category, [record], clock.now())]);
    },
  };
}

/** What a record says of its message, beside what others that read the same streams need. */
export const placeOf = ({ attempts, stream, streamPosition, history, body, replayed }: FailedMessage): JsonObject => ({
  retry_count: attempts - 1,
  stream_name: stream,
  stream_position: streamPosition,
  history: history.map((each) => ({ ...each })),
  ...(body === null ? {} : { body }),
  ...(replayed ? { replayed } : {}),
});

/** Takes note of one record: what it is about is open again, or no more. */
export function follow(open: Map<bigint, FailedMessage>, record: StoredMessage): void {
  const facts = factsIn(record.dataText);
  const position = toPosition(facts['position']);
  if (position === null) return;
  if (record.type === 'Failed') open.set(position, toFailed(position, facts, record));
  else if (record.type === 'Resolved' || record.type === 'Exhausted') open.delete(position);
}

function toFailed(position: bigint, about: JsonObject, { time }: StoredMessage): FailedMessage {
  const { retry_count, stream_name, stream_position, history, body, replayed } = about;
  return {
    position,
    stream: typeof stream_name === 'string' ? stream_name : null,
    streamPosition: typeof stream_position === 'number' ? stream_position : null,
    attempts: replayed === true ? 0 : (typeof retry_count === 'number' ? retry_count : 0) + 1,
    history: Array.isArray(history) ? history.filter(isAttempt) : [],
    body: typeof body === 'string' ? body : null,
    replayed: replayed === true,
    failedAt: Date.parse(time) || 0,
  };
}

const isAttempt = (value: Json): value is Json & FailedAttempt =>
  isObject(value) && typeof value['error_type'] === 'string';

/** The facts of a record; none where it is not one. */
export function factsIn(dataText: string): JsonObject {
  const facts: unknown = JSON.parse(dataText);
  return isObject(facts) ? facts : {};
}

export function toPosition(value: Json | undefined): bigint | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^-?\d+$/.test(value) ? BigInt(value) : null;
}
