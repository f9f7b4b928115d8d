import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { formatBlocked, parseBlocked } from './blocked.ts';
import type { Blocked, PartitionState, PartitionView, PartitionViewOptions } from './partition.ts';
import type { Ask } from './redis-ask.ts';
import type { RedisKeys } from './redis-keys.ts';
import { createPartitionKeys } from './redis-partition-keys.ts';
import { deliveryOf } from './redis-partition-settle.ts';

/**
 * How keys stand in a group. ARGV[1] group, ARGV[2] streams of a key. KEYS for each key its lease and its streams. Returns
 * for each what its lease holds, how many entries are unread, the id of the first of them, how many are pending, and the
 * lowest id among them. Where the group has yet to begin, all is unread.
 */
const look = `
local group, width, states = ARGV[1], tonumber(ARGV[2]), {}
local function lower(one, other)
  if not one or not other then return one or other end
  local ms, other_ms = tonumber(string.match(one, '^%d+')), tonumber(string.match(other, '^%d+'))
  return ms <= other_ms and one or other
end
for first = 1, #KEYS, width + 1 do
  local lag, unread, pending, oldest = 0, false, 0, false
  for index = first + 1, first + width do
    local groups, place, own_lag = redis.pcall('XINFO', 'GROUPS', KEYS[index]), '0-0', false
    if not groups.err then
      for _, fields in ipairs(groups) do
        local of = {}
        for each = 1, #fields, 2 do of[fields[each]] = fields[each + 1] end
        if of.name == group then
          place, own_lag = of['last-delivered-id'], of.lag
          if of.pending > 0 then
            pending = pending + of.pending
            oldest = lower(oldest, redis.call('XPENDING', KEYS[index], group)[2])
          end
        end
      end
      local next_entry = redis.call('XRANGE', KEYS[index], '(' .. place, '+', 'COUNT', 1)[1]
      if next_entry then
        unread = lower(unread, next_entry[1])
        if place == '0-0' then own_lag = redis.call('XLEN', KEYS[index]) end
        lag = lag + math.max(1, own_lag or 1)
      end
    end
  end
  states[#states + 1] = { redis.call('GET', KEYS[first]), lag, unread, pending, oldest }
end
return states
`;

/** How many entries each stream has. KEYS streams. */
const lengths = `
local counts = {}
for index, stream in ipairs(KEYS) do counts[index] = redis.call('XLEN', stream) end
return counts
`;

/**
 * Lets a key go on that stands still. KEYS[1] stream, KEYS[2] bookkeeping, KEYS[3] the hash of keys that stand still,
 * KEYS[4] what owners listen to, KEYS[5] dead letters. ARGV[1] group, ARGV[2] key, ARGV[3] id, ARGV[4] what the hash has,
 * ARGV[5] the dead letter or empty for none, which comes first. Returns 1, or 0 when somebody has done it before.
 */
const unblock = `
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[4] then return 0 end
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if pending and ARGV[5] ~= '' then redis.call('XADD', KEYS[5], '*', 'data', ARGV[5]) end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[3], 'crash:' .. ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.pcall('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'key', ARGV[2])
return pending and 1 or 0
`;

const keysACall = 200;

export interface RedisPartitionViewDeps {
  readonly ask: Ask;
  readonly keys: RedisKeys;
  readonly clock: Clock;
}

/** The partitions of a group in Redis, for operators and gauges: 200 keys a call, so that the server serves others in between. */
export function createRedisPartitionView(options: PartitionViewOptions, deps: RedisPartitionViewDeps): PartitionView {
  const { group, categories } = options;
  const { ask, clock } = deps;
  const keys = createPartitionKeys(options, deps.keys);

  /** An entry's id begins with the server's time, which may be ahead of ours. */
  const ageOf = (id: string | null): Millis | null =>
    id === null ? null : Math.max(0, clock.now() - Number(id.split('-')[0]));

  async function blockedKeys(): Promise<ReadonlyMap<string, Blocked>> {
    const found = new Map<string, Blocked>();
    for (const category of categories) {
      const pairs = listOf(await ask.one(['HGETALL', keys.blocked(category)])).map((each) => textOf(each) ?? '');
      for (let index = 0; index + 1 < pairs.length; index += 2) {
        const blocked = parseBlocked(pairs[index + 1] ?? '');
        if (blocked !== null) found.set(pairs[index] ?? '', blocked);
      }
    }
    return found;
  }

  async function allKeys(): Promise<readonly string[]> {
    const members = new Set<string>();
    for (const index of keys.indexes) {
      for (const key of listOf(await ask.one(['SMEMBERS', index]))) members.add(textOf(key) ?? '');
    }
    return [...members];
  }

  return {
    async states() {
      const blocked = await blockedKeys();
      const all = await allKeys();
      const states: PartitionState[] = [];
      for (let from = 0; from < all.length; from += keysACall) {
        const some = all.slice(from, from + keysACall);
        const names = some.flatMap((key) => [keys.lease(key), ...keys.all(key).map(keys.of)]);
        const command: RedisCommand = ['EVAL', look, names.length, ...names, group, keys.all('').length];
        for (const [index, answer] of listOf(await ask.one(command)).entries()) {
          const key = some[index] ?? '';
          const [lease, lag, unread, pending, oldest] = listOf(answer);
          const [, owner = null, generation = null] = /^(.*):(\d+)$/.exec(textOf(lease) ?? '') ?? [];
          states.push({
            key,
            owner,
            generation: generation === null ? null : Number(generation),
            lag: numberOf(lag) ?? 0,
            lagMs: ageOf(textOf(unread)) ?? 0,
            pending: numberOf(pending) ?? 0,
            oldestPendingMs: ageOf(textOf(oldest)),
            blocked: blocked.get(key) ?? null,
          });
        }
      }
      return states;
    },
    async deadLetters() {
      const letters = (await allKeys()).flatMap((key) => keys.streams(key).map(deadLettersOf));
      const found: { readonly stream: string; readonly count: number }[] = [];
      for (let from = 0; from < letters.length; from += 1_000) {
        const some = letters.slice(from, from + 1_000);
        const counts = listOf(await ask.one(['EVAL', lengths, some.length, ...some.map(keys.of)]));
        for (const [index, stream] of some.entries()) {
          const count = numberOf(counts[index]) ?? 0;
          if (count > 0) found.push({ stream, count });
        }
      }
      return found;
    },
    async blocking(key) {
      const blocked = (await blockedKeys()).get(key);
      if (blocked === undefined) return null;
      const { stream, entryId } = blocked;
      const [entry] = listOf(await ask.one(['XRANGE', keys.of(stream), entryId, entryId], { bytes: true }));
      const [history, crashes] = listOf(
        await ask.one(['HMGET', keys.attempts(stream), entryId, `crash:${entryId}`], { bytes: true }),
      );
      const [id, fields] = listOf(entry);
      const delivery = deliveryOf(stream, id, fields, history, crashes);
      return delivery === null ? null : { blocked, delivery };
    },
    async unblock(key, blocked, to) {
      const { stream, entryId } = blocked;
      const category = keys.categoryOf(stream);
      const names = [
        keys.of(stream),
        keys.attempts(stream),
        keys.blocked(category),
        keys.wake(category),
        to === null ? keys.letters(stream) : keys.of(to.stream),
      ];
      const args = [group, key, entryId, formatBlocked(blocked), to?.body ?? ''];
      return numberOf(await ask.one(['EVAL', unblock, names.length, ...names, ...args])) === 1;
    },
  };
}
