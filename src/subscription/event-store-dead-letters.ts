import type { DeadLetter, DeadLetters } from '../broker/dead-letters.ts';
import { toDeadLetter } from '../broker/dead-letters.ts';
import type { DeadLetterRecords, Exhausted } from '../event-store/dead-letter-records.ts';
import { createDeadLetterRecords } from '../event-store/dead-letter-records.ts';
import type { EventStore, StoredMessage } from '../event-store/event-store.ts';
import { bodyOf } from '../event-store/stored-message.ts';
import type { SubscriptionRecord } from '../event-store/subscription-record.ts';
import { recordsTo } from '../event-store/subscription-record.ts';
import { isObject } from '../message/codec.ts';
import type { Clock } from '../runtime/clock.ts';
import { isErrorNamed } from '../runtime/errors.ts';

/** What stands in the place of a broker's name. */
export const inEventStore = 'event_store';

interface EventStoreDeadLettersDeps {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Lets go of the store's connections. */
  readonly close: () => void;
}

const pageSize = 1_000;
const mostTries = 5;

/**
 * The dead letters of subscriptions of the event store, with the same face as those of a broker. A stream of them is the
 * record of failures of one subscription, `failed-<group>-<category>`; the messages themselves stay where they are, and a
 * letter's body is put together again. Its id is the time at which it was given up, and the message's global position.
 * What is replayed or purged is noted in the record, and at most one of two who try at once succeeds.
 */
export function createEventStoreDeadLetters({ store, clock, close }: EventStoreDeadLettersDeps): DeadLetters {
  const known = new Map<string, DeadLetterRecords>();

  async function recordsOf(stream: string): Promise<DeadLetterRecords> {
    const records = known.get(stream) ?? createDeadLetterRecords(stream, store);
    known.set(stream, records);
    await records.read();
    return records;
  }

  const findIn = ({ letters }: DeadLetterRecords, id: string): Exhausted | null =>
    [...letters.values()].find((each) => idOf(each) === id) ?? null;

  /** Writes about letters that are still there, if nobody else has done so since; else looks again. */
  async function note(
    stream: string,
    ids: readonly string[],
    toRecord: (letter: Exhausted) => Promise<SubscriptionRecord>,
  ): Promise<number> {
    for (let tries = 1; ; tries += 1) {
      const records = await recordsOf(stream);
      const letters = ids.flatMap((id) => findIn(records, id) ?? []);
      const [first] = letters;
      if (first === undefined) return 0;
      const written = await Promise.all(letters.map(toRecord));
      try {
        await store.append([recordsTo(stream, categoryIn(first.record), written, clock.now(), records.version)]);
        return letters.length;
      } catch (error) {
        if (!isErrorNamed(error, 'ConcurrencyError') || tries === mostTries) throw error;
      }
    }
  }

  async function bodyAt({ position, record, facts }: Exhausted): Promise<string | null> {
    const { body, stream_name: stream, stream_position: at } = facts;
    if (typeof body === 'string') return body;
    const [message] =
      typeof stream === 'string' && typeof at === 'number'
        ? await store.readStream(stream, at, 1)
        : await store.readCategory(categoryIn(record), position, 1);
    return message?.globalPosition === position ? bodyOf(message) : null;
  }

  async function toLetter(stream: string, letter: Exhausted): Promise<DeadLetter> {
    const { record, facts, position } = letter;
    const metadata = isObject(facts['dlq_metadata']) ? facts['dlq_metadata'] : {};
    const note = JSON.stringify({
      original_stream: categoryIn(record),
      original_id: String(position),
      consumer_group: groupIn(record),
      message_id: facts['message_id'] ?? null,
      retry_count: facts['retry_count'] ?? null,
      ...metadata,
    });
    const body = (await bodyAt(letter)) ?? '{}';
    const open = body.slice(0, body.lastIndexOf('}')).trimEnd();
    const text = `${open}${open.endsWith('{') ? '' : ', '}"_dlq_metadata": ${note}}`;
    const ageMs = Math.max(0, clock.now() - givenUpAt(record));
    return { ...toDeadLetter(stream, idOf(letter), text, ageMs), origin: categoryIn(record) };
  }

  return {
    broker: inEventStore,
    now: async () => clock.now(),
    async find() {
      const found = new Set<string>();
      for (let from = 0n; ; ) {
        const page = await store.readCategory('failed', from, pageSize);
        for (const { stream } of page) found.add(stream);
        const last = page.at(-1);
        if (last === undefined || page.length < pageSize) return [...found].sort();
        from = last.globalPosition + 1n;
      }
    },
    partitions: async () => [],
    count: async (stream) => (await recordsOf(stream)).letters.size,
    async read({ stream, from, to, count }) {
      const { letters } = await recordsOf(stream);
      const wanted = [...letters.values()]
        .filter((each) => isBetween(keyOf(each), from, to))
        .sort((one, other) => compare(keyOf(one), keyOf(other)));
      return Promise.all(wanted.slice(0, count).map((each) => toLetter(stream, each)));
    },
    async replay({ stream, id }, _group, body) {
      const text = Buffer.from(body).toString('utf8');
      const moved = await note(stream, [id], async (letter) => {
        const { position, facts } = letter;
        const edited = text === (await bodyAt({ ...letter, facts: { ...facts, body: null } })) ? {} : { body: text };
        const { message_type, message_id, stream_name = null, stream_position = null } = facts;
        const about = {
          message_type: message_type ?? null,
          message_id: message_id ?? null,
          stream_name,
          stream_position,
        };
        return {
          type: 'Failed',
          facts: { position: Number(position), ...about, retry_count: 0, replayed: true, ...edited },
        };
      });
      return moved === 1;
    },
    remove: (stream, ids) =>
      note(stream, ids, async ({ position }) => ({
        type: 'Resolved',
        facts: { position: Number(position), purged: true },
      })),
    close,
  };
}

type Key = readonly [ms: number, position: bigint];

const givenUpAt = ({ time }: StoredMessage): number => Date.parse(time) || 0;
const keyOf = ({ record, position }: Exhausted): Key => [givenUpAt(record), position];
const idOf = (letter: Exhausted): string => keyOf(letter).join('-');

const compare = ([ms, position]: Key, [otherMs, otherPosition]: Key): number =>
  ms - otherMs || (position < otherPosition ? -1 : position > otherPosition ? 1 : 0);

/** `-` and `+` for the ends, `(id` for behind an id, a time for all of its millisecond. */
function isBetween(key: Key, from: string, to: string): boolean {
  const behind = from.startsWith('(');
  const [fromMs = '0', fromPosition = '0'] = (behind ? from.slice(1) : from).split('-');
  const after = from === '-' ? 1 : compare(key, [Number(fromMs), BigInt(fromPosition)]);
  if (behind ? after <= 0 : after < 0) return false;
  if (to === '+') return true;
  const [toMs = '0', toPosition] = to.split('-');
  return toPosition === undefined ? key[0] <= Number(toMs) : compare(key, [Number(toMs), BigInt(toPosition)]) <= 0;
}

/** The category whose subscription wrote the record. */
function categoryIn({ metadataText }: StoredMessage): string {
  const metadata: unknown = JSON.parse(metadataText ?? '{}');
  const domain = isObject(metadata) ? metadata['domain'] : null;
  const category = isObject(domain) ? domain['origin_stream'] : null;
  return typeof category === 'string' ? category : '';
}

const groupIn = (record: StoredMessage): string =>
  record.stream.slice('failed-'.length, record.stream.length - categoryIn(record).length - 1);
