import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, RedisReplyError, textOf } from '../connection/reply-of-redis.ts';
import type { Failure } from '../runtime/failure.ts';
import type { Outgoing, PublishResult } from './broker.ts';
import type { Ask } from './redis-ask.ts';
import { faultOf } from './redis-errors.ts';
import type { RedisKeys } from './redis-keys.ts';
import { publish as script } from './redis-scripts.ts';

/** Entries in one call: enough to make the round trip cheap, few enough that Redis serves others in between. */
const maxEntries = 500;
const maxBytes = 8 * 1024 * 1024;
/** Every server takes an entry of this size: `proto-max-bulk-len` cannot be set lower. */
const alwaysTaken = 1024 * 1024;

interface Item {
  readonly entry: Outgoing;
  readonly index: number;
  readonly bytes: number;
}

/**
 * Appends batches, each chunk of up to 500 entries in one call of a script that tells the fate of every entry. Where Redis
 * turns a whole chunk away for the sake of one entry (it is larger than the server takes, or its stream is forbidden), the
 * chunk is cut until that entry stands alone. Measured with 500-byte bodies: several times the rate of a pipeline of XADDs.
 */
export function createRedisPublish(ask: Ask, keys: RedisKeys) {
  let limit: Promise<number> | null = null;

  return async function publish(entries: readonly Outgoing[]): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = entries.map(() => ({ kind: 'held' }));
    const stopped = new Set<string>();

    function refuse({ entry, index }: Item, failure: Failure): void {
      results[index] = { kind: 'refused', failure };
      if (entry.key !== null) stopped.add(entry.key);
    }

    /** Refuses the first of each key; those behind it are held. */
    function refuseAll(items: readonly Item[], error: Error): void {
      for (const item of items) if (!isStopped(item)) refuse(item, failureOf(error));
    }

    const isStopped = ({ entry: { key } }: Item) => key !== null && stopped.has(key);

    async function append(items: readonly Item[]): Promise<void> {
      const open = items.filter((item) => !isStopped(item));
      const calls = keys.together([...new Set(open.map(({ entry }) => entry.stream))]).map((streams) => {
        const among = new Set(streams);
        return commandFor(open.filter(({ entry }) => among.has(entry.stream)));
      });
      const answers = await ask.all(calls.map(({ command }) => command));
      for (const [position, { command, items: sent }] of calls.entries()) {
        const answer = answers[position] ?? null;
        if (answer instanceof Error) await turnedAway(answer, sent, command);
        else for (const [at, text] of listOf(answer).entries()) outcome(sent[at], textOf(text) ?? '', command);
      }
    }

    function outcome(item: Item | undefined, text: string, command: RedisCommand): void {
      if (item === undefined || text === '=') return;
      if (!text.startsWith('-')) {
        results[item.index] = { kind: 'confirmed', id: text };
        return;
      }
      const error = new RedisReplyError(text.slice(1));
      const fault = faultOf(error);
      if (fault !== 'refused' && fault !== 'too_large') throw ask.failed(error, command);
      refuse(item, failureOf(error));
    }

    async function turnedAway(error: Error, items: readonly Item[], command: RedisCommand): Promise<void> {
      const fault = faultOf(error);
      if (fault !== 'refused' && fault !== 'too_large') throw ask.failed(error, command);
      const parts = fault === 'refused' ? byStream(items) : halves(items);
      if (parts.length === 1) refuseAll(items, error);
      else for (const part of parts) await append(part);
    }

    function commandFor(items: readonly Item[]): { readonly command: RedisCommand; readonly items: readonly Item[] } {
      const streams = numbering(items.map(({ entry }) => entry.stream));
      const orderKeys = numbering(items.map(({ entry }) => entry.key));
      const names = streams.values.map((stream) => keys.keyOf(stream ?? ''));
      const streamOf = names.length === 1 ? '' : streams.numbers.join(' ');
      const bodies = items.map(({ entry }) => entry.body);
      return {
        items,
        command: ['EVAL', script, names.length, ...names, streamOf, orderKeys.numbers.join(' '), ...bodies],
      };
    }

    for (const chunk of chunks(entries)) {
      const items = chunk.some(({ bytes }) => bytes > alwaysTaken) ? await withoutTooLarge(chunk, refuse) : chunk;
      if (items.length > 0) await append(items);
    }
    return results;
  };

  /** The server hangs up on an entry above its limit, often before its answer is read: so it is not sent. */
  async function withoutTooLarge(
    items: readonly Item[],
    refuse: (item: Item, failure: Failure) => void,
  ): Promise<readonly Item[]> {
    limit ??= largestEntry().catch((error) => {
      limit = null;
      throw error;
    });
    const largest = await limit;
    for (const item of items) {
      const message = `an entry of ${item.bytes} bytes; the server takes at most ${largest} (proto-max-bulk-len)`;
      if (item.bytes > largest) refuse(item, { type: 'EntryTooLarge', code: 'too_large', message, stack: null });
    }
    return items.filter(({ bytes }) => bytes <= largest);
  }

  async function largestEntry(): Promise<number> {
    const command: RedisCommand = ['CONFIG', 'GET', 'proto-max-bulk-len'];
    const [answer = null] = await ask.all([command]);
    // Many servers do not tell their settings; what happens then is up to `turnedAway`.
    if (answer instanceof RedisReplyError) return Number.POSITIVE_INFINITY;
    if (answer instanceof Error) throw ask.failed(answer, command);
    return numberOf(listOf(answer)[1]) ?? Number.POSITIVE_INFINITY;
  }
}

function* chunks(entries: readonly Outgoing[]): Generator<readonly Item[]> {
  let chunk: Item[] = [];
  let total = 0;
  for (const [index, entry] of entries.entries()) {
    const bytes = Buffer.byteLength(entry.body);
    if (chunk.length === maxEntries || (chunk.length > 0 && total + bytes > maxBytes)) {
      yield chunk;
      chunk = [];
      total = 0;
    }
    chunk.push({ entry, index, bytes });
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

function byStream(items: readonly Item[]): readonly (readonly Item[])[] {
  const streams = new Set(items.map(({ entry }) => entry.stream));
  return [...streams].map((stream) => items.filter(({ entry }) => entry.stream === stream));
}

function halves(items: readonly Item[]): readonly (readonly Item[])[] {
  const middle = Math.ceil(items.length / 2);
  return items.length === 1 ? [items] : [items.slice(0, middle), items.slice(middle)];
}

const failureOf = (error: Error): Failure => ({
  type: error.name,
  code: error instanceof RedisReplyError ? error.code : null,
  message: error.message,
  stack: null,
});
