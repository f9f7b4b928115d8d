import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, RedisReplyError } from '../connection/reply-of-redis.ts';
import type { Ask } from './redis-ask.ts';

/** Every server takes an entry of so many bytes: `proto-max-bulk-len` cannot be set lower. */
export const alwaysTaken = 1024 * 1024;

/** The bytes of the largest entry that the server takes, asked once; infinite where it does not tell its settings. */
export function createEntryLimit(ask: Ask): () => Promise<number> {
  const command: RedisCommand = ['CONFIG', 'GET', 'proto-max-bulk-len'];
  let known: number | null = null;
  return async () => {
    if (known !== null) return known;
    const [answer = null] = await ask.all([command]);
    if (answer instanceof Error && !(answer instanceof RedisReplyError)) throw ask.failed(answer, command);
    known = numberOf(listOf(answer)[1]) ?? Number.POSITIVE_INFINITY;
    return known;
  };
}
