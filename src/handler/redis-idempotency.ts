import type { Config } from '../config/config.ts';
import type { RedisConnection, RedisConnectionDeps } from '../connection/redis.ts';
import { createRedisConnection } from '../connection/redis.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Answer, Claim, Idempotency, KeyTimes } from './idempotency.ts';

/**
 * KEYS[1] the hash of a key: owner, state, answer. ARGV: owner, milliseconds to keep it, '1' to take one that failed.
 * Returns the state and the answer of another's, or nothing once it is claimed.
 */
const claimScript = `
local held = redis.call('hmget', KEYS[1], 'owner', 'state', 'answer')
local free = not held[1] or (held[1] == ARGV[1] and held[2] ~= 'done') or (held[2] == 'failed' and ARGV[3] == '1')
if not free then return { held[2], held[3] } end
redis.call('del', KEYS[1])
redis.call('hset', KEYS[1], 'owner', ARGV[1], 'state', 'held')
redis.call('pexpire', KEYS[1], ARGV[2])
return {}`;

/** KEYS[1] as above. ARGV: owner, state, milliseconds to keep it, and the answer where there is one. */
const settleScript = `
if redis.call('hget', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
if tonumber(ARGV[3]) <= 0 then return redis.call('del', KEYS[1]) end
redis.call('hset', KEYS[1], 'state', ARGV[2])
if ARGV[4] then redis.call('hset', KEYS[1], 'answer', ARGV[4]) end
return redis.call('pexpire', KEYS[1], ARGV[3])`;

const timeoutMs: Millis = 5_000;

/** What the connection is called in errors and events. */
export const redisKeysName = '[idempotency] redis_url';

/** The store of `[idempotency] redis_url`, or null where there is none. Connects when it is first asked. */
export function openRedisKeys(
  { idempotency, domain }: Pick<Config, 'idempotency' | 'domain'>,
  deps: Omit<RedisConnectionDeps, 'onRestored'> & Partial<RedisConnectionDeps>,
): (Idempotency & { close(): void }) | null {
  const { redisUrl: uri, ttlMs, errorTtlMs } = idempotency;
  if (uri === null) return null;
  const trusted = { caFile: null, certFile: null, keyFile: null, insecureSkipVerify: false };
  const tls = uri.startsWith('rediss:') ? trusted : null;
  const times = { connectTimeoutMs: timeoutMs, commandTimeoutMs: timeoutMs };
  const connection = createRedisConnection(
    { name: redisKeysName, uri, tls, ...times, clientName: 'domaind-idempotency' },
    { onRestored: () => undefined, ...deps },
  );
  return createRedisIdempotency({ domain: domain.normalized, ttlMs, errorTtlMs }, connection);
}

/** Keys in Redis, as `<domain>:idempotency:<key>`: they expire by themselves. Owns its connection. */
export function createRedisIdempotency(
  { domain, ttlMs, errorTtlMs }: KeyTimes & { readonly domain: string },
  connection: RedisConnection,
): Idempotency & { close(): void } {
  const nameOf = (key: string) => `${domain}:idempotency:${key}`;
  return {
    async claim(key, owner, again) {
      const kept = String(Math.ceil(ttlMs));
      const reply = await connection.ask(['EVAL', claimScript, '1', nameOf(key), owner, kept, again ? '1' : '0']);
      return claimIn(reply);
    },
    async settle(key, owner, { kind, text }) {
      const kept = String(Math.ceil(kind === 'done' ? ttlMs : errorTtlMs));
      const answer = text === null ? [] : [text];
      await connection.ask(['EVAL', settleScript, '1', nameOf(key), owner, kind, kept, ...answer]);
    },
    purge: async () => 0,
    close: () => connection.close(),
  };
}

function claimIn(reply: unknown): Claim {
  const [state = null, text = null]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  if (state === null) return { kind: 'claimed' };
  const answer: Answer | null =
    state === 'done'
      ? { kind: 'done', text: text === null ? null : String(text) }
      : state === 'failed'
        ? { kind: 'failed', text: String(text ?? '{}') }
        : null;
  return answer === null ? { kind: 'held' } : { kind: 'answered', answer };
}
