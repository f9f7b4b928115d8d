import { isUtf8 } from 'node:buffer';
import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import { partitionOf, partitionsOf, replayOf, sourceOfDeadLetters } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import type { DeadLetter, DeadLetters } from './dead-letters.ts';
import { toDeadLetter } from './dead-letters.ts';
import { createAsk } from './redis-ask.ts';
import type { RedisBrokerConfig, RedisBrokerDeps } from './redis-connections.ts';
import { createConnections } from './redis-connections.ts';
import { entryOf } from './redis-entry.ts';
import { createRedisKeys } from './redis-keys.ts';

/**
 * Moves a dead letter to the stream that its group alone reads. The XADD comes first: when it is refused, the letter stays.
 * Then what that group has acknowledged of earlier replays goes: nobody else reads it. KEYS[1] dead letters, KEYS[2] replay.
 * ARGV[1] id, ARGV[2] group, ARGV[3] `hex` where ARGV[4], the body, is. Returns 1, or 0 when the letter is gone.
 */
const replayScript = `
if not redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1] then return 0 end
local body = ARGV[4]
if ARGV[3] == 'hex' then
  body = string.gsub(body, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end)
end
redis.call('XADD', KEYS[2], '*', 'data', body, 'dead_letter', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local of = {}
  for index = 1, #fields, 2 do of[fields[index]] = fields[index + 1] end
  if of.name == ARGV[2] then
    local oldest = redis.call('XPENDING', KEYS[2], ARGV[2])[2]
    redis.call('XTRIM', KEYS[2], 'MINID', oldest or of['last-delivered-id'])
  end
end
return 1
`;

/** The dead letters of a Redis broker, on one connection of its own. Connects to nothing yet. */
export function createRedisDeadLetters(config: RedisBrokerConfig, deps: RedisBrokerDeps): DeadLetters {
  const { name, hashTag } = config;
  const connection = createConnections(config, deps)('domaind');
  const ask = createAsk(connection, name);
  const { keyOf } = createRedisKeys(hashTag);
  const nameOf = (key: string) => (hashTag ? key.replace(/^\{([^}]*)\}/, '$1') : key);

  async function now(): Promise<Millis> {
    const [seconds, micros] = listOf(await ask.one(['TIME']));
    return (numberOf(seconds) ?? 0) * 1_000 + Math.floor((numberOf(micros) ?? 0) / 1_000);
  }

  return {
    broker: name,
    now,
    async find() {
      const found = new Set<string>();
      let cursor = '0';
      do {
        const scan: RedisCommand = ['SCAN', cursor, 'MATCH', '*:dlq', 'COUNT', 1_000, 'TYPE', 'stream'];
        const [next, keys] = listOf(await ask.one(scan));
        for (const key of listOf(keys)) found.add(nameOf(textOf(key) ?? ''));
        cursor = textOf(next) ?? '0';
      } while (cursor !== '0');
      return [...found].filter((each) => sourceOfDeadLetters(each) !== null).sort();
    },
    async partitions(category) {
      const keys = listOf(await ask.one(['SMEMBERS', keyOf(partitionsOf(category))]));
      return keys.map((key) => partitionOf(category, textOf(key) ?? '')).sort();
    },
    count: async (stream) => numberOf(await ask.one(['XLEN', keyOf(stream)])) ?? 0,
    async read({ stream, from, to, count }) {
      const at = await now();
      const reply = await ask.one(['XRANGE', keyOf(stream), from, to, 'COUNT', count], { bytes: true });
      const letters: DeadLetter[] = [];
      for (const each of listOf(reply)) {
        const entry = entryOf(each);
        if (entry === null) continue;
        letters.push(toDeadLetter(stream, entry.id, entry.body, Math.max(0, at - Number(entry.id.split('-')[0]))));
      }
      return letters;
    },
    async replay({ stream, id }, group, body) {
      const bytes = Buffer.from(body);
      const form = isUtf8(bytes) ? 'utf8' : 'hex';
      const replay = replayOf(sourceOfDeadLetters(stream) ?? stream, group);
      const keys = [keyOf(stream), keyOf(replay)];
      return (await ask.one(['EVAL', replayScript, 2, ...keys, id, group, form, bytes.toString(form)])) === 1;
    },
    async remove(stream, ids) {
      return ids.length === 0 ? 0 : (numberOf(await ask.one(['XDEL', keyOf(stream), ...ids])) ?? 0);
    },
    close: () => connection.close(),
  };
}
