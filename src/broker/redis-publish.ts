import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, RedisReplyError } from '../connection/reply-of-redis.ts';
import { wakeBeside } from '../message/stream-name.ts';
import { UnavailableError } from '../runtime/errors.ts';
import type { Failure } from '../runtime/failure.ts';
import type { Outgoing, Partition, PublishResult } from './broker.ts';
import type { Ask } from './redis-ask.ts';
import { alwaysTaken, createEntryLimit } from './redis-entry-limit.ts';
import { faultOf } from './redis-errors.ts';
import type { RedisKeys } from './redis-keys.ts';
import { publish, publishPartitioned } from './redis-scripts.ts';

/** Entries in one call: enough to make the round trip cheap, few enough that Redis serves others in between. */
const maxEntries = 500;
const maxBytes = 8 * 1024 * 1024;

/** A server that hangs up so often on one entry, and is there again each time, hangs up because of it. */
const hangUps = 3;

interface Item {
  readonly entry: Outgoing;
  readonly index: number;
  readonly text: string;
  readonly bytes: number;
  readonly id: string | null;
}

/** How entries are appended. */
export interface Appending {
  readonly script: string;
  /** For chunks with partitions; null where there is no such thing. */
  readonly partitionedScript: string | null;
  /** What is appended of a body, and the id of that, null where Redis gives it one. */
  wrap(body: string): { readonly text: string; readonly id: string | null };
}

/** To streams. */
export const toStream: Appending = {
  script: publish,
  partitionedScript: publishPartitioned,
  wrap: (text) => ({ text, id: null }),
};

/**
 * Appends batches, each chunk of up to 500 entries in one call of a script that tells the fate of every entry. Where Redis
 * turns a whole chunk away for the sake of one entry (it is larger than the server takes, or its stream is forbidden), the
 * chunk is cut until that entry stands alone. Measured with 500-byte bodies: several times the rate of a pipeline of XADDs.
 */
export function createRedisPublish(
  ask: Ask,
  keys: RedisKeys,
  { script, partitionedScript, wrap }: Appending = toStream,
) {
  const largestEntry = createEntryLimit(ask);

  return async function publish(entries: readonly Outgoing[]): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = entries.map(() => ({ kind: 'held' }));
    const stopped = new Set<string>();
    const isStopped = ({ entry: { key } }: Item) => key !== null && stopped.has(key);

    /** Refuses the first of each key; those behind it are held. */
    function refuse(items: readonly Item[], failure: Failure): void {
      for (const item of items) {
        if (isStopped(item)) continue;
        results[item.index] = { kind: 'refused', failure };
        if (item.entry.key !== null) stopped.add(item.entry.key);
      }
    }

    async function append(items: readonly Item[], hungUp = 0): Promise<void> {
      const open = items.filter((item) => !isStopped(item));
      const calls = keys.together([...new Set(open.map(({ entry }) => entry.stream))]).map((streams) => {
        const among = new Set(streams);
        return commandFor(open.filter(({ entry }) => among.has(entry.stream)));
      });
      const answers = await ask.all(calls.map(({ command }) => command));
      for (const [position, { command, items: sent }] of calls.entries()) {
        const answer = answers[position] ?? null;
        if (answer instanceof Error) await turnedAway(answer, sent, command, hungUp);
        else for (const [at, text] of listOf(answer).entries()) outcome(sent[at], String(text), command);
      }
    }

    function outcome(item: Item | undefined, text: string, command: RedisCommand): void {
      if (item === undefined || text === '=') return;
      if (!text.startsWith('-')) {
        results[item.index] = { kind: 'confirmed', id: item.id ?? text };
        return;
      }
      const error = new RedisReplyError(text.slice(1));
      const fault = faultOf(error);
      if (fault !== 'refused' && fault !== 'too_large') throw ask.failed(error, command);
      refuse([item], failureOf(error));
    }

    /** Nothing of the chunk was appended, unless the server hung up: then some of it may come twice. */
    async function turnedAway(error: Error, items: readonly Item[], command: RedisCommand, hungUp: number) {
      const fault = faultOf(error);
      const hangsUp = isHangUp(error) && items.some(({ bytes }) => bytes > alwaysTaken);
      if (fault !== 'refused' && fault !== 'too_large' && !hangsUp) throw ask.failed(error, command);
      const parts = fault === 'refused' ? byStream(items) : halves(items);
      if (parts.length > 1) for (const part of parts) await append(part);
      else if (hangsUp && hungUp + 1 < hangUps) await append(items, hungUp + 1);
      else refuse(items, failureOf(error));
    }

    function commandFor(items: readonly Item[]): { readonly command: RedisCommand; readonly items: readonly Item[] } {
      const streams = numbering(items.map(({ entry }) => entry.stream));
      const orderKeys = numbering(items.map(({ entry }) => entry.key));
      const names = streams.values.map((stream) => keys.keyOf(stream ?? ''));
      const streamOf = names.length === 1 ? '' : streams.numbers.join(' ');
      const bodies = items.map(({ text }) => text);
      const keyOf = orderKeys.numbers.join(' ');
      const partitions = partitionedScript === null ? [] : partitionsIn(items);
      if (partitionedScript === null || partitions.length === 0) {
        return { items, command: ['EVAL', script, names.length, ...names, streamOf, keyOf, ...bodies] };
      }
      const indexes = numbering(partitions.map(({ index }) => index));
      const numberOfStream = new Map(streams.values.map((stream, at) => [stream, at + 1]));
      const places = partitions.map(({ stream, key }, at) => [
        numberOfStream.get(stream),
        names.length + (indexes.numbers[at] ?? 0),
        names.length + indexes.values.length + (indexes.numbers[at] ?? 0),
        key,
      ]);
      const shared = indexes.values.map((index) => index ?? '');
      const all = [...names, ...shared.map(keys.keyOf), ...shared.map((index) => keys.keyOf(wakeBeside(index)))];
      const last = JSON.stringify(places);
      return { items, command: ['EVAL', partitionedScript, all.length, ...all, streamOf, keyOf, ...bodies, last] };
    }

    for (const chunk of chunks(entries, wrap)) {
      const largest = chunk.some(({ bytes }) => bytes > alwaysTaken) ? await largestEntry() : alwaysTaken;
      let run: Item[] = [];
      for (const item of chunk) {
        if (item.bytes <= largest) {
          run.push(item);
          continue;
        }
        // It is not sent: the server would hang up, often before its answer is read. What stands before it goes first.
        await append(run);
        run = [];
        refuse([item], tooLarge(item.bytes, largest));
      }
      await append(run);
    }
    return results;
  };
}

function* chunks(entries: readonly Outgoing[], wrap: Appending['wrap']): Generator<readonly Item[]> {
  let chunk: Item[] = [];
  let total = 0;
  for (const [index, entry] of entries.entries()) {
    const { text, id } = wrap(entry.body);
    const bytes = Buffer.byteLength(text);
    if (chunk.length === maxEntries || (chunk.length > 0 && total + bytes > maxBytes)) {
      yield chunk;
      chunk = [];
      total = 0;
    }
    chunk.push({ entry, index, text, bytes, id });
    total += bytes;
  }
  if (chunk.length > 0) yield chunk;
}

/** The distinct values in the order of their first use, and for each place the number of its value from 1; 0 for null. */
function numbering(places: readonly (string | null)[]) {
  const numbers = new Map<string | null, number>();
  const of = places.map((value) => {
    if (value === null) return 0;
    const number = numbers.get(value) ?? numbers.size + 1;
    numbers.set(value, number);
    return number;
  });
  return { values: [...numbers.keys()], numbers: of };
}

/** The streams among these that are partitions, once each. */
function partitionsIn(items: readonly Item[]) {
  const found = new Map<string, Partition & { readonly stream: string }>();
  for (const { entry } of items) {
    const { stream, partition } = entry;
    if (partition !== undefined && !found.has(stream)) found.set(stream, { stream, ...partition });
  }
  return [...found.values()];
}

function byStream(items: readonly Item[]): readonly (readonly Item[])[] {
  const streams = new Set(items.map(({ entry }) => entry.stream));
  return [...streams].map((stream) => items.filter(({ entry }) => entry.stream === stream));
}

function halves(items: readonly Item[]): readonly (readonly Item[])[] {
  const middle = Math.ceil(items.length / 2);
  return items.length === 1 ? [items] : [items.slice(0, middle), items.slice(middle)];
}

const isHangUp = (error: Error): boolean => error instanceof UnavailableError && error.code === 'redis_connection_lost';

const tooLarge = (bytes: number, largest: number): Failure => ({
  type: 'EntryTooLarge',
  code: 'too_large',
  message: `an entry of ${bytes} bytes; the server takes at most ${largest} (proto-max-bulk-len)`,
  stack: null,
});

const failureOf = (error: Error): Failure => ({
  type: error.name,
  code: error instanceof RedisReplyError || error instanceof UnavailableError ? error.code : null,
  message: error.message,
  stack: null,
});
