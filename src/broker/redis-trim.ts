import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { numberOf } from '../connection/reply-of-redis.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Ask } from './redis-ask.ts';
import type { Membership } from './redis-membership.ts';

/**
 * Removes the oldest entries beyond the newest ARGV[1], but none that some group has not read and acknowledged: nothing
 * from the lowest id on that is pending, or was read last, in any group. MAXLEN and a bare MINID would remove such entries
 * without a word. With `~`, Redis removes whole nodes only, which is cheap, and keeps up to a node more. Without a group
 * there is nobody to tell what is still needed, so nothing is removed. KEYS[1] stream. Returns how many.
 */
const script = `
local excess = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[1])
if excess <= 0 then return 0 end
local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end
local function before(one, other)
  local ms, sequence = parts(one)
  local other_ms, other_sequence = parts(other)
  return ms < other_ms or (ms == other_ms and sequence < other_sequence)
end
local needed
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local of = {}
  for index = 1, #fields, 2 do of[fields[index]] = fields[index + 1] end
  local id = of['last-delivered-id']
  if of.pending > 0 then id = redis.call('XPENDING', KEYS[1], of.name)[2] end
  if not needed or before(id, needed) then needed = id end
end
if not needed then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', needed, 'LIMIT', excess)
`;

/** Trims one stream, by its key. */
export const trimCommand = (key: string, keep: number): RedisCommand => ['EVAL', script, 1, key, keep];

/** Trims the streams of a consumer; how many entries were removed. */
export async function trim({ ask, keys, streams }: Membership, keep: number): Promise<number> {
  const commands = streams.map((stream) => trimCommand(keys.keyOf(stream), keep));
  let removed = 0;
  for (const [index, answer] of (await ask.all(commands)).entries()) {
    if (answer instanceof Error) throw ask.failed(answer, ['XTRIM', streams[index] ?? '']);
    removed += numberOf(answer) ?? 0;
  }
  return removed;
}

/**
 * Deletes entries that are older than ARGV[1] ms by the server's clock, ARGV[2] at most: whole nodes first, which is cheap,
 * then the rest of the last one, which is a node at most. KEYS[1] stream. Returns how many.
 */
const expireScript = `
local now = redis.call('TIME')
local before = string.format('%d', math.floor(now[1] * 1000 + now[2] / 1000 - ARGV[1]))
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', before, 'LIMIT', ARGV[2])
if removed > 0 then return removed end
return redis.call('XTRIM', KEYS[1], 'MINID', before)
`;

/** Deletes old entries of one stream, `key`; how many. */
export const expire = async (ask: Ask, key: string, olderThanMs: Millis, limit: number): Promise<number> =>
  numberOf(await ask.one(['EVAL', expireScript, 1, key, Math.round(olderThanMs), Math.max(1_000, limit)])) ?? 0;
