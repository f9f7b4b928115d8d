import type { JsonObject } from '../message/message.ts';
import type { EventStore, StoredMessage } from './event-store.ts';
import { factsIn, toPosition } from './failures.ts';

/** A message that was given up, as the record of it says. */
export interface Exhausted {
  readonly position: bigint;
  readonly record: StoredMessage;
  readonly facts: JsonObject;
}

/** The dead letters of one subscription, kept up to date by reading on in its record of failures. */
export interface DeadLetterRecords {
  /** By the position of the message; those that were replayed or purged are gone. */
  readonly letters: ReadonlyMap<bigint, Exhausted>;
  /** The version of the stream that is known: what a change must find unchanged. */
  readonly version: number;
  read(): Promise<void>;
}

const pageSize = 1_000;

/** `stream`: the record of failures of a subscription. */
export function createDeadLetterRecords(stream: string, store: EventStore): DeadLetterRecords {
  const letters = new Map<bigint, Exhausted>();
  let next = 0;
  return {
    letters,
    get version() {
      return next - 1;
    },
    async read() {
      for (;;) {
        const page = await store.readStream(stream, next, pageSize);
        for (const record of page) {
          const facts = factsIn(record.dataText);
          const position = toPosition(facts['position']);
          if (position === null) continue;
          if (record.type === 'Exhausted') letters.set(position, { position, record, facts });
          else letters.delete(position);
        }
        next += page.length;
        if (page.length < pageSize) return;
      }
    },
  };
}
