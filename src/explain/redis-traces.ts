import { parseHistory } from '../broker/attempt-records.ts';
import { toDeadLetter } from '../broker/dead-letters.ts';
import type { Ask } from '../broker/redis-ask.ts';
import { createAsk } from '../broker/redis-ask.ts';
import type { RedisBrokerConfig } from '../broker/redis-connections.ts';
import { createConnections } from '../broker/redis-connections.ts';
import type { RedisEntry } from '../broker/redis-entry.ts';
import { entryOf } from '../broker/redis-entry.ts';
import { createRedisKeys } from '../broker/redis-keys.ts';
import type { RedisReply } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import { isObject } from '../message/codec.ts';
import type { Json } from '../message/message.ts';
import { attemptsOf } from '../message/stream-name.ts';
import type { BackoffPolicy } from '../runtime/backoff.ts';
import type { Clock, Random } from '../runtime/clock.ts';
import type { EntryFacts, EntryInGroup, Traces } from './timeline.ts';

/** Newest first, so many entries of each stream are looked at; older ones are found by their entry id. */
export const searched = 100_000;
const pageSize = 500;

export interface AskedTraces {
  /** An id of any kind: of an entry, a message, an aggregate's stream, a correlation, an idempotency key. */
  readonly ids: ReadonlySet<string>;
  /** Where it may be. */
  readonly streams: readonly string[];
  readonly deadLetters: readonly string[];
  /** Handlers by group, with the policy of their retries. */
  readonly handlers: ReadonlyMap<string, { readonly name: string; readonly backoff: BackoffPolicy }>;
}

/** What a broker knows of messages. Reads, and changes nothing. Throws UnavailableError and MisconfiguredError. */
export async function redisTraces(
  config: RedisBrokerConfig,
  { ids, streams, deadLetters, handlers }: AskedTraces,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Pick<Traces, 'entries' | 'deadLetters'>> {
  const connection = createConnections(config, { clock, random, notice: () => undefined })('domaind:explain');
  const ask = createAsk(connection, config.name);
  const { keyOf } = createRedisKeys(config.hashTag);
  try {
    const entries: EntryFacts[] = [];
    for (const stream of streams) {
      for (const entry of await search(keyOf(stream), ids, ask)) {
        const groups = await groupsOf(stream, entry.id, { ask, keyOf, handlers });
        entries.push({ broker: config.name, stream, id: entry.id, ...envelopeOf(entry.body), groups });
      }
    }
    const known = new Set([...ids, ...entries.flatMap(({ id, messageId }) => [id, ...(messageId ? [messageId] : [])])]);
    const letters = [];
    for (const stream of deadLetters) {
      for (const { id, body } of await search(keyOf(stream), known, ask)) {
        letters.push({ broker: config.name, ...toDeadLetter(stream, id, body, 0), body: '' });
      }
    }
    return { entries, deadLetters: letters };
  } finally {
    connection.close();
  }
}

/** The entries of a stream that are of any of these ids. An entry's own id is looked up, all else is searched for. */
async function search(key: string, ids: ReadonlySet<string>, ask: Ask): Promise<readonly RedisEntry[]> {
  const found = new Map<string, RedisEntry>();
  const own = [...ids].filter((id) => /^\d+-\d+$/.test(id));
  for (const id of own) for (const entry of await page(ask, key, id, id, 1)) found.set(entry.id, entry);
  const texts = [...ids];
  if (texts.every((id) => found.has(id))) return [...found.values()];
  let to = '+';
  for (let looked = 0; looked < searched; looked += pageSize) {
    const entries = await page(ask, key, '-', to, pageSize);
    for (const entry of entries)
      if (texts.some((id) => entry.body.includes(id)) && isOf(entry, ids)) found.set(entry.id, entry);
    const last = entries.at(-1);
    if (last === undefined || entries.length < pageSize) break;
    to = `(${last.id}`;
  }
  return [...found.values()];
}

async function page(ask: Ask, key: string, from: string, to: string, count: number): Promise<readonly RedisEntry[]> {
  const reply = await ask.one(['XREVRANGE', key, to, from, 'COUNT', count], { bytes: true });
  return listOf(reply).flatMap((each) => entryOf(each) ?? []);
}

/** Whether one of the ids stands where ids stand: a payload that has the same text does not count. */
function isOf({ body }: RedisEntry, ids: ReadonlySet<string>): boolean {
  const { messageId, aggregate, correlationId, idempotencyKey, originalId } = envelopeOf(body);
  return [messageId, aggregate, correlationId, idempotencyKey, originalId].some((id) => id !== null && ids.has(id));
}

function envelopeOf(body: string) {
  const text = (value: Json | undefined) => (typeof value === 'string' ? value : null);
  const at = (value: Json | undefined, key: string): Json | undefined => (isObject(value) ? value[key] : undefined);
  let root: Json;
  try {
    root = JSON.parse(body) as Json;
  } catch {
    // Of what is no JSON nothing is known but that it is there.
    root = null;
  }
  const metadata = at(root, 'metadata');
  const [headers, domain, note] = [at(metadata, 'headers'), at(metadata, 'domain'), at(root, '_dlq_metadata')];
  return {
    messageId: text(at(headers, 'id')) ?? text(at(note, 'message_id')),
    type: text(at(headers, 'type')),
    aggregate: text(at(headers, 'stream')),
    idempotencyKey: text(at(headers, 'idempotency_key')),
    correlationId:
      text(at(domain, 'correlation_id')) ?? text(at(metadata, 'correlation_id')) ?? text(at(root, 'correlation_id')),
    originalId: text(at(note, 'original_id')),
  };
}

interface InStream {
  readonly ask: Ask;
  readonly keyOf: (name: string) => string;
  readonly handlers: AskedTraces['handlers'];
}

async function groupsOf(
  stream: string,
  id: string,
  { ask, keyOf, handlers }: InStream,
): Promise<readonly EntryInGroup[]> {
  const key = keyOf(stream);
  const groups = listOf(await ask.one(['XINFO', 'GROUPS', key]));
  const all: EntryInGroup[] = [];
  for (const each of groups) {
    const fields = listOf(each);
    const field = (name: string): RedisReply => fields[fields.indexOf(name) + 1] ?? null;
    const group = textOf(field('name')) ?? '';
    const [pending = null, kept = null] = await ask.all([
      ['XPENDING', key, group, id, id, 1],
      ['HMGET', keyOf(attemptsOf(stream, group)), id, `crash:${id}`],
    ]);
    const [held] = listOf(pending);
    const [, consumer, idle, deliveries] = listOf(held);
    const [history, crashes] = listOf(kept);
    const handler = handlers.get(group) ?? null;
    const isRead = !isAfter(id, textOf(field('last-delivered-id')) ?? '0-0');
    all.push({
      group,
      handler: handler?.name ?? null,
      state: held !== undefined ? 'pending' : isRead ? 'settled' : 'unread',
      consumer: textOf(consumer),
      idleMs: numberOf(idle),
      deliveries: numberOf(deliveries),
      history: parseHistory(textOf(history)),
      crashes: numberOf(crashes) ?? 0,
      backoff: handler?.backoff ?? null,
    });
  }
  return all;
}

function isAfter(id: string, other: string): boolean {
  const [ms = '0', sequence = '0'] = id.split('-');
  const [otherMs = '0', otherSequence = '0'] = other.split('-');
  return BigInt(ms) > BigInt(otherMs) || (BigInt(ms) === BigInt(otherMs) && BigInt(sequence) > BigInt(otherSequence));
}
