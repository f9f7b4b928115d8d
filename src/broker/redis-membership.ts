import type { RedisConnection } from '../connection/redis.ts';
import type { RedisArgument, RedisCommand } from '../connection/reply-of-redis.ts';
import { attemptsOf } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { BrokerNotice } from './broker.ts';
import type { Lanes } from './lanes.ts';
import type { Ask } from './redis-ask.ts';
import type { Gathered } from './redis-gathered.ts';
import type { Hand } from './redis-hand.ts';
import type { RedisKeys } from './redis-keys.ts';
import { ensureGroup } from './redis-scripts.ts';

/** What the parts of one consumer share. */
export interface Membership {
  readonly group: string;
  /** The consumer's. */
  readonly name: string;
  /** All of the consumer's. */
  readonly streams: readonly string[];
  /** Those that `read` brings new entries of, which take turns, each as its lanes in the order of preference. */
  readonly lanes: Lanes;
  /** Those of them whose new entries come with `reclaim`, not with `read`. */
  readonly aside: readonly string[];
  readonly keys: RedisKeys;
  /** The connection that blocks. Only reads go over it. */
  readonly reader: RedisConnection;
  readonly asReader: Ask;
  /** The connection for everything else, shared with the broker's other consumers. */
  readonly ask: Ask;
  /** The same for what all consumers ask at once. */
  readonly gathered: Gathered;
  readonly clock: Clock;
  readonly commandTimeoutMs: Millis;
  readonly notice: (notice: BrokerNotice) => void;
  readonly hand: Hand;
  /** Entries that were trimmed or deleted while they were ours: for the next report. */
  readonly lost: string[];
}

/** The consumer that holds what was given back. Nobody reads under this name, so it is found without a search. */
export const givenBack = 'given-back';

/** A script on a stream and its bookkeeping, asked by this consumer. */
export const scriptOn = (
  { group, name, keys }: Membership,
  script: string,
  stream: string,
  args: readonly RedisArgument[],
): RedisCommand => ['EVAL', script, 2, keys.keyOf(stream), keys.keyOf(attemptsOf(stream, group)), group, name, ...args];

/**
 * Makes the group at the beginning of each stream where it does not exist: with "from now on", what was added between the
 * loss of a group and its return would never be read. Returns the streams where it was made.
 */
export async function ensureGroups({ ask, keys, group, streams }: Membership): Promise<readonly string[]> {
  const commands = streams.map((stream): RedisCommand => ['EVAL', ensureGroup, 1, keys.keyOf(stream), group]);
  const answers = await ask.all(commands);
  const failure = answers.findIndex((answer) => answer instanceof Error);
  const error = answers[failure];
  if (error instanceof Error) throw ask.failed(error, ['XGROUP CREATE', streams[failure] ?? '']);
  return streams.filter((_, index) => answers[index] === 1);
}

/** The same after a loss, which is told. */
export async function recreateGroups(membership: Membership): Promise<void> {
  const { group, notice } = membership;
  for (const stream of await ensureGroups(membership)) notice({ kind: 'group_recreated', stream, group });
}

/** Deliveries and settlements by stream, for commands that concern one stream each. */
export function byStream<T>(items: readonly T[], streamOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const streams = new Map<string, T[]>();
  for (const item of items) {
    const stream = streamOf(item);
    const others = streams.get(stream);
    if (others === undefined) streams.set(stream, [item]);
    else others.push(item);
  }
  return streams;
}
