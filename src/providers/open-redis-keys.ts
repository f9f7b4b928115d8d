import type { Config } from '../config/config.ts';
import { createRedisConnection } from '../connection/redis.ts';
import type { Idempotency } from '../handler/idempotency.ts';
import { createRedisIdempotency } from '../handler/redis-idempotency.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import type { Emit } from '../telemetry/event.ts';

interface OpenKeysDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
}

const timeoutMs: Millis = 5_000;

/** The store of `[idempotency] redis_url`, or null where keys are kept beside the inbox. Connects when first asked. */
export function openRedisKeys(
  { idempotency, domain }: Config,
  { clock, random, emit }: OpenKeysDeps,
): (Idempotency & { close(): void }) | null {
  const { redisUrl: uri, ttlMs, errorTtlMs } = idempotency;
  if (uri === null) return null;
  const name = '[idempotency] redis_url';
  const tls = uri.startsWith('rediss:')
    ? { caFile: null, certFile: null, keyFile: null, insecureSkipVerify: false }
    : null;
  const connection = createRedisConnection(
    { name, uri, tls, connectTimeoutMs: timeoutMs, commandTimeoutMs: timeoutMs, clientName: 'domaind-idempotency' },
    {
      clock,
      random,
      onLost: (err) => emit({ event: 'connection.lost', connection: name, err }),
      onRestored: () => emit({ event: 'connection.restored', connection: name }),
    },
  );
  return createRedisIdempotency({ domain: domain.normalized, ttlMs, errorTtlMs }, connection);
}
