import { parseHistory } from '../broker/attempt-records.ts';
import { toDeadLetter } from '../broker/dead-letters.ts';
import type { Answer, Ask } from '../broker/redis-ask.ts';
import { entryOf } from '../broker/redis-entry.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import { attemptsOf, deadLettersOf, originOf } from '../message/stream-name.ts';
import type { ConsumerFacts, GroupFacts, StreamFacts, WorstEntry } from './facts.ts';
import type { AskedStream } from './redis-facts.ts';

/** Of the pending entries so many are looked at for the one that was delivered most often. */
const looked = 100;

/** One stream of a Redis broker: its groups, their consumers, what is pending, its dead letters. */
export async function redisStreamFacts(
  { stream, wanted, retention }: AskedStream,
  ask: Ask,
  keyOf: (name: string) => string,
): Promise<StreamFacts> {
  const key = keyOf(stream);
  // The lane of a category has dead letters of its own; of partitions and replays they are told with their category.
  const letters = originOf(stream) === stream ? keyOf(deadLettersOf(stream)) : null;
  const [length, groups, whole, count, newest] = await ask.all(
    [
      ['XLEN', key],
      ['XINFO', 'GROUPS', key],
      ['XINFO', 'STREAM', key],
      ...(letters === null
        ? []
        : ([
            ['XLEN', letters],
            ['XREVRANGE', letters, '+', '-', 'COUNT', 1],
          ] as const)),
    ],
    { bytes: true },
  );
  const found: GroupFacts[] = [];
  for (const each of listOf(groups instanceof Error ? [] : groups)) {
    const fields = fieldsOf(each);
    const group = textOf(fields.get('name')) ?? '';
    found.push({
      group,
      pending: numberOf(fields.get('pending')) ?? 0,
      read: numberOf(fields.get('entries-read')),
      lag: numberOf(fields.get('lag')),
      ...(await insideGroup(stream, group, ask, keyOf)),
    });
  }
  return {
    stream,
    exists: !(groups instanceof Error),
    length: numberOf(length) ?? 0,
    added: numberOf(fieldsOf(whole ?? null).get('entries-added')),
    groups: found,
    retention,
    wanted,
    deadLetters: numberOf(count) ?? 0,
    lastCause: causeIn(newest, stream),
  };
}

async function insideGroup(
  stream: string,
  group: string,
  ask: Ask,
  keyOf: (name: string) => string,
): Promise<Pick<GroupFacts, 'consumers' | 'worst'>> {
  const key = keyOf(stream);
  const [members, pending] = await ask.all([
    ['XINFO', 'CONSUMERS', key, group],
    ['XPENDING', key, group, '-', '+', looked],
  ]);
  const consumers = listOf(members).map((each): ConsumerFacts => {
    const fields = fieldsOf(each);
    return {
      name: textOf(fields.get('name')) ?? '',
      pending: numberOf(fields.get('pending')) ?? 0,
      idleMs: numberOf(fields.get('idle')) ?? 0,
    };
  });
  const entries = listOf(pending).map((each) => {
    const [id, consumer, , deliveries] = listOf(each);
    return { id: textOf(id) ?? '', consumer: textOf(consumer) ?? '', deliveries: numberOf(deliveries) ?? 0 };
  });
  if (entries.length === 0) return { consumers, worst: null };
  const ids = entries.map(({ id }) => id);
  const notes = keyOf(attemptsOf(stream, group));
  const [kept] = await ask.all([['HMGET', notes, ...ids, ...ids.map((id) => `crash:${id}`)]]);
  const stored = listOf(kept);
  const noted = entries.map(({ id, consumer, deliveries }, index): WorstEntry => {
    const history = parseHistory(textOf(stored[index]));
    const last = history.at(-1);
    return {
      id,
      consumer,
      deliveries,
      failures: history.length,
      lastError: last === undefined ? null : `${last.error_type}: ${short(last.error_message)}`,
      crashes: numberOf(stored[ids.length + index]) ?? 0,
    };
  });
  const worst = noted.reduce((most, each) =>
    each.crashes > most.crashes || (each.crashes === most.crashes && each.failures > most.failures) ? each : most,
  );
  return { consumers, worst };
}

function causeIn(reply: Answer | undefined, stream: string): string | null {
  const entry = entryOf(listOf(reply)[0]);
  if (entry === null) return null;
  const { handler, errorType, errorMessage, reason } = toDeadLetter(stream, entry.id, entry.body, 0);
  const error = errorType === null ? (reason ?? 'no cause is noted') : `${errorType}: ${short(errorMessage ?? '')}`;
  return handler === null ? error : `${handler}: ${error}`;
}

/** A reply of names and values by turns. */
const fieldsOf = (reply: Answer): ReadonlyMap<string, Answer> => {
  const list = listOf(reply);
  const fields = new Map<string, Answer>();
  for (let index = 0; index + 1 < list.length; index += 2)
    fields.set(textOf(list[index]) ?? '', list[index + 1] ?? null);
  return fields;
};

const short = (text: string): string => (text.length > 120 ? `${text.slice(0, 119)}…` : text);
