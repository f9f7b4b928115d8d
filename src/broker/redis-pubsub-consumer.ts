import { isUtf8 } from 'node:buffer';
import type { RedisCommand, RedisReply } from '../connection/reply-of-redis.ts';
import { listOf, numberOf } from '../connection/reply-of-redis.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { AttemptRecord, ConsumeOptions, Consumer, Delivery, Settlement } from './broker.ts';
import { lanesIn } from './lanes.ts';
import type { Ask } from './redis-ask.ts';
import { shift } from './redis-scripts.ts';

export interface RedisPubsubConsumerDeps {
  readonly ask: Ask;
  readonly clock: Clock;
  readonly keyOf: (name: string) => string;
  readonly positionOf: (stream: string, group: string) => string;
  readonly push: (stream: string, body: string) => Promise<void>;
}

/** A list cannot be waited on by its position, so it is looked at this often. */
const pollEveryMs: Millis = 50;

/**
 * One consumer of lists. What it has read is gone for its group: an acknowledgement does nothing, and what it held when it
 * ended is lost. A retry is kept in memory until it is taken again; a dead letter is pushed to its list by itself.
 */
export function createRedisPubsubConsumer(options: ConsumeOptions, deps: RedisPubsubConsumerDeps): Consumer {
  const { group, consumer: name } = options;
  const lanes = lanesIn(options);
  const { ask, clock, keyOf, positionOf, push } = deps;
  const retried = new Map<string, Delivery>();
  let turn = 0;

  /** An equal share for each list, then what is left for those that have more. */
  async function available(count: number): Promise<readonly Delivery[]> {
    const share = Math.ceil(count / lanes.length);
    const found: Delivery[] = [];
    const more: (readonly string[])[] = [];
    for (let index = 0; index < lanes.length && found.length < count; index += 1) {
      const each = lanes[(turn + index) % lanes.length] ?? [];
      const limit = Math.min(share, count - found.length);
      const fresh = await shifted(each, limit);
      found.push(...fresh);
      if (fresh.length === limit) more.push(each);
    }
    for (const each of more) found.push(...(await shifted(each, count - found.length)));
    if (found.length > 0) turn += 1;
    return found;
  }

  async function shifted(inPreference: readonly string[], limit: number): Promise<readonly Delivery[]> {
    const found: Delivery[] = [];
    for (const stream of inPreference) {
      const left = limit - found.length;
      if (left <= 0) break;
      const command: RedisCommand = ['EVAL', shift, 2, keyOf(stream), positionOf(stream, group), left];
      const [position, items] = listOf(await ask.one(command, { bytes: true }));
      const first = numberOf(position) ?? 0;
      for (const [index, item] of listOf(items).entries()) found.push(deliveryIn(stream, item, first + index));
    }
    return found;
  }

  async function settleOne(settlement: Settlement): Promise<void> {
    const { kind, delivery } = settlement;
    if (kind === 'retry') retried.set(keyFor(delivery), afterwards(delivery, settlement.failure));
    else retried.delete(keyFor(delivery));
    if (kind === 'dead_letter') await push(settlement.stream, settlement.body);
  }

  return {
    group,
    name,
    streams: lanes.flat(),
    async read({ count, blockMs, signal }) {
      const until = clock.monotonic() + blockMs;
      for (;;) {
        if (signal.aborted) return [];
        const found = await available(count);
        const leftMs = until - clock.monotonic();
        if (found.length > 0 || leftMs <= 0) return found;
        await clock.sleep(Math.min(pollEveryMs, leftMs), signal);
      }
    },
    async settle(settlements) {
      for (const settlement of settlements) await settleOne(settlement);
      return [];
    },
    recordStart: async () => undefined,
    retake: async (held) => held.map((delivery) => retried.get(keyFor(delivery)) ?? delivery),
    heartbeat: async () => [],
    takeGivenBack: async () => [],
    reclaim: async () => ({ deliveries: [], lost: [] }),
    // Who else reads a list, and how far, is not known to anybody.
    trim: async () => 0,
    leave: async () => undefined,
    close: async () => undefined,
  };
}

const keyFor = ({ stream, id }: Delivery): string => `${stream} ${id}`;

function afterwards(delivery: Delivery, failure: AttemptRecord): Delivery {
  const history = [...delivery.history, failure];
  return { ...delivery, history, attempt: history.length + 1, redelivered: true };
}

/** `["<id>", <message>]`: the id, and the message as it stands there, for to parse and write it again could change it. */
const shape = /^\s*\[\s*"([^"\\]*)"\s*,\s*(.*?)\s*\]\s*$/s;

/** An item of another shape is handed over whole, under its position in the list. */
function deliveryIn(stream: string, item: RedisReply, position: number): Delivery {
  const bytes = Buffer.isBuffer(item) ? item : Buffer.from(String(item));
  const text = bytes.toString();
  const [, id = String(position), body = text] = shape.exec(text) ?? [];
  return {
    id,
    stream,
    body,
    bare: false,
    raw: isUtf8(bytes) ? null : Uint8Array.from(bytes),
    attempt: 1,
    history: [],
    redelivered: false,
    suspect: false,
    crashes: 0,
  };
}
