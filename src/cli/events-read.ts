import type { StoredMessage } from '../event-store/event-store.ts';
import { createGapReader } from '../event-store/gap-reader.ts';
import { categoryOfStream } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Asked, Place } from './events-asked.ts';
import { placeIn, subjectIn } from './events-asked.ts';
import { factsOf, jsonOf, nameOf, shortTime } from './events-text.ts';
import { table } from './listing.ts';

const what = 'a STREAM, a CATEGORY or $all';
const headings = ['GLOBAL', 'POSITION', 'TIME', 'TYPE', 'STREAM'];

const cellsOf = ({ globalPosition, position, time, type, stream }: StoredMessage) => [
  String(globalPosition),
  String(position),
  shortTime(time),
  nameOf(type),
  stream,
];

/** `domaind events read`: a page of a stream, a category or everything. */
export async function readEvents(asked: Asked): Promise<number> {
  const { given, io, store } = asked;
  const place = placeIn(asked, subjectIn(asked, what));
  const limit = given.number('limit', 1) ?? 50;
  const from = given.number('from', 0) ?? 0;
  const type = given.text('type');
  const { name } = place;
  const found = place.isStream
    ? await store.readStream(name, from, limit)
    : await store.readCategory(name, BigInt(from), limit);
  const messages = type === null ? found : found.filter((each) => each.type === type || nameOf(each.type) === type);
  show(asked, messages);
  const last = found.at(-1);
  if (found.length === limit && last !== undefined) {
    const next = place.isStream ? last.position + 1 : Number(last.globalPosition) + 1;
    io.err(`${limit} were read: go on with --from ${next}`);
  }
  if (messages.length === 0 && !given.flag('json')) io.err(`nothing in ${name}${from > 0 ? ` from ${from} on` : ''}`);
  return 0;
}

function show({ given, io }: Asked, messages: readonly StoredMessage[]): void {
  const withPayload = given.flag('payload');
  if (given.flag('json')) {
    const json = messages.map((each) => jsonOf(each, withPayload));
    io.out(JSON.stringify(json, null, 2));
  } else if (withPayload) {
    for (const message of messages) showWhole(io, message);
  } else if (messages.length > 0) {
    io.out(table(io, headings, messages.map(cellsOf)));
  }
}

function showWhole(io: Asked['io'], message: StoredMessage): void {
  const { messageId } = factsOf(message);
  io.out(`${cellsOf(message).join('  ')}${messageId === null ? '' : `  ${messageId}`}`);
  io.out(JSON.stringify(JSON.parse(message.dataText), null, 2).replace(/^/gm, '  '));
}

const pollEveryMs: Millis = 500;
const gapTimeoutMs: Millis = 5_000;

/**
 * `domaind events tail`: the last messages, then those that come, a line each, until it is told to stop. With `--json` a
 * line of JSON each. Messages that commit late are waited for, so that none is missing.
 */
export async function tailEvents(asked: Asked): Promise<number> {
  const { given, io, store, shutdown } = asked;
  const place = placeIn(asked, asked.subjects.length === 0 ? '$all' : subjectIn(asked, what));
  const lines = given.number('lines', 0) ?? 10;
  const category = place.isStream ? categoryOfStream(place.name) : place.name;
  const tell = (messages: readonly StoredMessage[]) => {
    for (const message of messages) if (isOf(message, place)) tellOne(asked, message);
  };
  const head = await store.head(category);
  const last = lines === 0 ? [] : await lastOf(asked, place, head, lines);
  tell(last);
  if (given.flag('no-follow')) return 0;
  const read = createGapReader(
    { category, gapTimeoutMs },
    {
      store,
      clock: systemClock,
      onWait: (wait) => {
        if (wait !== null && wait.waitedMs > 2 * pollEveryMs) io.progress?.(`waiting for position ${wait.position}`);
        else io.progress?.(null);
      },
      onGivenUp: (positions) => io.err(`given up: ${positions.length} positions that nothing was committed at`),
    },
  );
  for (let from = head + 1n; !shutdown.soft.aborted; ) {
    const { messages, next } = await read(from, 1_000);
    tell(messages);
    if (next === from) await systemClock.sleep(pollEveryMs, shutdown.soft);
    from = next;
  }
  return 0;
}

async function lastOf({ store }: Asked, place: Place, head: bigint, lines: number): Promise<readonly StoredMessage[]> {
  if (!place.isStream) return (await store.readBackwards(place.name, head + 1n, lines)).toReversed();
  const end = await store.lastMessage(place.name);
  return end === null ? [] : store.readStream(place.name, Math.max(0, end.position - lines + 1), lines);
}

const isOf = ({ stream }: StoredMessage, { name, isStream }: Place): boolean => !isStream || stream === name;

function tellOne({ given, io }: Asked, message: StoredMessage): void {
  const withPayload = given.flag('payload');
  if (given.flag('json')) io.out(JSON.stringify(jsonOf(message, withPayload)));
  else if (withPayload) showWhole(io, message);
  else io.out(cellsOf(message).join('  '));
}
