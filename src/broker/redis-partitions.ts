import type { RedisConnection } from '../connection/redis.ts';
import type { RedisArgument, RedisCommand, RedisReply } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { BrokerNotice } from './broker.ts';
import type { Lease, PartitionOptions, PartitionReply, PartitionRequest, Partitions } from './partition.ts';
import type { Ask } from './redis-ask.ts';
import type { RedisKeys } from './redis-keys.ts';
import { createPartitionHearing } from './redis-partition-hear.ts';
import { createPartitionKeys, tokenOf } from './redis-partition-keys.ts';
import { reap as reapScript } from './redis-partition-reap.ts';
import { acquire, join, read as readScript, release, renew } from './redis-partition-scripts.ts';
import { createPartitionSettle, deliveryOf } from './redis-partition-settle.ts';
import { trimCommand } from './redis-trim.ts';

export interface RedisPartitionDeps {
  /** The connection for everything but what blocks. */
  readonly ask: Ask;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly commandTimeoutMs: Millis;
  readonly notice: (notice: BrokerNotice) => void;
  /** Opens the connection that waits for hints. Throws MisconfiguredError where there may be no more. */
  readonly openReader: (label: string) => RedisConnection;
  readonly closeReader: (reader: RedisConnection) => void;
  /** The broker's name, for error texts. */
  readonly name: string;
}

/** Keys a call: a few milliseconds of the server, so that it serves others in between. */
const keysACall = 250;
const keysAPage = 500;

/**
 * The partitions of one group in Redis. All keys share two connections, and each call is about many of them: 10,000 keys
 * are renewed in 40 calls, and an idle one costs a lookup every few seconds.
 */
export function createRedisPartitions(options: PartitionOptions, deps: RedisPartitionDeps): Partitions {
  const { group, owner, leaseTtlMs } = options;
  const { ask, notice } = deps;
  const keys = createPartitionKeys(options, deps.keys);
  const hearing = createPartitionHearing(keys, group, deps);
  const settling = createPartitionSettle({ group, owner, keys, ask });
  const tokensOf = (leases: readonly Lease[]) => leases.map((lease) => tokenOf(owner, lease));
  /** Streams that this owner has read: where their group is missing again, it was lost. */
  const readBefore = new Set<string>();

  const command = (script: string, names: readonly string[], args: readonly RedisArgument[]): RedisCommand => [
    'EVAL',
    script,
    names.length,
    ...names,
    ...args,
  ];

  function replyOf({ lease, from }: PartitionRequest, answer: RedisReply): PartitionReply {
    const nothing = { lease, owned: true, deliveries: [], more: [], lost: [], made: [], error: null };
    if (!Array.isArray(answer)) return { ...nothing, owned: false };
    const [found, more, lost, made, failure] = answer as readonly RedisReply[];
    const streams = keys.all(lease.key);
    const nameAt = (index: RedisReply | undefined) => streams[numberOf(index) ?? 0] ?? '';
    const deliveries = listOf(found).flatMap((each) => {
      const [stream, id, fields, before, history, crashes] = listOf(each);
      const delivery = deliveryOf(nameAt(stream), id, fields, history, crashes);
      if (delivery === null) return [];
      const redelivered = from !== null;
      return [{ ...delivery, redelivered, suspect: redelivered && (numberOf(before) ?? 1) >= 1 }];
    });
    for (const index of listOf(made)) {
      if (readBefore.has(nameAt(index))) notice({ kind: 'group_recreated', stream: nameAt(index), group });
    }
    for (const { stream } of deliveries) readBefore.add(stream);
    const text = textOf(failure);
    return {
      lease,
      owned: true,
      deliveries,
      more: listOf(more).map(nameAt),
      lost: listOf(lost).map((id) => textOf(id) ?? ''),
      made: listOf(made).map(nameAt),
      error: text === null ? null : settling.errorOf(text, 'XREADGROUP'),
    };
  }

  async function readSome(requests: readonly PartitionRequest[]): Promise<readonly PartitionReply[]> {
    const width = keys.all('').length;
    const names = requests.flatMap(({ lease }) => [
      keys.lease(lease.key),
      ...keys.all(lease.key).flatMap((stream) => [keys.of(stream), keys.attempts(stream)]),
    ]);
    const args = requests.flatMap(({ lease, count, from }) => [
      tokenOf(owner, lease),
      count,
      from === null ? 'new' : 'own',
      ...keys.all('').map((_, index) => from?.[index] ?? ''),
    ]);
    const answer = await ask.one(command(readScript, names, [group, width, ...args]), { bytes: true });
    const replies = listOf(answer);
    return requests.map((request, index) => replyOf(request, replies[index] ?? null));
  }

  /** All answers, or the first failure: what was carried out before it is found again by the next look. */
  async function all(commands: readonly RedisCommand[]): Promise<readonly RedisReply[]> {
    const answers = await ask.all(commands);
    return answers.map((answer, index) => {
      if (answer instanceof Error) throw ask.failed(answer, commands[index]);
      return answer;
    });
  }

  return {
    streamsOf: keys.all,
    async keys(cursor) {
      // One index after the other: "<number of the index> <cursor>".
      const [at = 0, from = '0'] =
        cursor === null ? [] : cursor.split(' ').map((part, place) => (place === 0 ? Number(part) : part));
      const index = Number(at);
      const [next, found] = listOf(await ask.one(['SSCAN', keys.indexes[index] ?? '', from, 'COUNT', keysAPage]));
      const through = textOf(next) === '0';
      const last = through && index + 1 >= keys.indexes.length;
      return {
        keys: listOf(found).map((key) => textOf(key) ?? ''),
        next: last ? null : through ? `${index + 1} 0` : `${index} ${textOf(next)}`,
      };
    },
    join: async () => numberOf(await ask.one(command(join, [keys.owners], [owner, leaseTtlMs]))) ?? 1,
    async leave() {
      await ask.one(['ZREM', keys.owners, owner]);
    },
    async acquire(wanted, limit = wanted.length) {
      const taken: { readonly lease: Lease; readonly pending: boolean }[] = [];
      for (const some of chunksOf(wanted)) {
        const names = some.flatMap((key) => [keys.lease(key), keys.generation(key), ...keys.all(key).map(keys.of)]);
        const args = [group, owner, leaseTtlMs, keys.all('').length, limit - taken.length];
        if (taken.length >= limit) break;
        for (const each of listOf(await ask.one(command(acquire, names, args)))) {
          const [index, generation, pending] = listOf(each).map((number) => numberOf(number) ?? 0);
          const key = some[index ?? -1];
          if (key !== undefined) taken.push({ lease: { key, generation: generation ?? 0 }, pending: pending !== 0 });
        }
      }
      return taken;
    },
    async renew(leases) {
      const chunks = [...chunksOf(leases)];
      const answers = await all(
        chunks.map((some) =>
          command(
            renew,
            some.map(({ key }) => keys.lease(key)),
            [leaseTtlMs, ...tokensOf(some)],
          ),
        ),
      );
      return chunks.flatMap((some, index) => {
        const lost = new Set(listOf(answers[index]).map(numberOf));
        return some.filter((_, place) => lost.has(place));
      });
    },
    async release(leases) {
      const shared = [...keys.indexes, ...keys.wakes];
      const commands = [...chunksOf(leases)].map((some) => {
        const names = some.flatMap(({ key }) => [keys.lease(key), keys.generation(key), ...keys.all(key).map(keys.of)]);
        const args = some.flatMap((lease) => [tokenOf(owner, lease), lease.key]);
        return command(release, [...shared, ...names], [group, keys.all('').length, keys.indexes.length, ...args]);
      });
      await all(commands);
    },
    async read(requests) {
      const replies: PartitionReply[] = [];
      for (const some of chunksOf(requests)) replies.push(...(await readSome(some)));
      return replies;
    },
    settle: settling.settle,
    recordStart: settling.recordStart,
    retake: settling.retake,
    gone: settling.gone,
    async reap(leases, idleMs, groups) {
      const every = [group, ...groups.filter((each) => each !== group)];
      const commands = leases.map((lease) => {
        const { key } = lease;
        const streams = keys.streams(key);
        const ofGroups = every.flatMap((each) => [
          keys.leaseIn(key, each),
          keys.generation(key, each),
          ...streams.map((stream) => keys.replay(stream, each)),
          ...streams.map((stream) => keys.attempts(stream, each)),
          ...streams.map((stream) => keys.attempts(`${stream}:__replay__:${each}`, each)),
        ]);
        const names = [
          keys.lease(key),
          ...keys.indexes,
          ...streams.map(keys.of),
          ...streams.map(keys.letters),
          ...ofGroups,
        ];
        const args = [tokenOf(owner, lease), key, idleMs, keys.indexes.length, streams.length, ...every];
        return command(reapScript, names, args);
      });
      const answers = await all(commands);
      const gone = leases.filter((_, index) => answers[index] === 1);
      for (const { key } of gone) for (const stream of keys.all(key)) readBefore.delete(stream);
      return gone;
    },
    async trim(among, keep) {
      const commands = among.flatMap((key) => keys.streams(key).map((stream) => trimCommand(keys.of(stream), keep)));
      const answers = await all(commands);
      return answers.reduce<number>((removed, answer) => removed + (numberOf(answer) ?? 0), 0);
    },
    hear: (ms, signal) => hearing.hear(ms, signal),
    async close() {
      hearing.close();
    },
  };

  function* chunksOf<T>(things: readonly T[]): Generator<readonly T[]> {
    for (let from = 0; from < things.length; from += keysACall) yield things.slice(from, from + keysACall);
  }
}
