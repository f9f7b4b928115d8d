import type { RedisConnection } from '../connection/redis.ts';
import { listOf, textOf } from '../connection/reply-of-redis.ts';
import type { Millis } from '../runtime/clock.ts';
import type { PartitionHint } from './partition.ts';
import { createAsk } from './redis-ask.ts';
import type { PartitionKeys } from './redis-partition-keys.ts';
import type { RedisPartitionDeps } from './redis-partitions.ts';
import { untilAborted } from './redis-unblock.ts';

const hintsACall = 1_000;

/**
 * Listens to what publishers say of partitions. They say it on a short stream, read from its end: what is missed, or never
 * said, is found by looking. The only connection of a group's partitions that blocks.
 */
export function createPartitionHearing(keys: PartitionKeys, group: string, deps: RedisPartitionDeps) {
  const { ask, clock, commandTimeoutMs, openReader, closeReader, name } = deps;
  const { wakes } = keys;
  const places = new Map<string, string>();
  let reader: RedisConnection | null = null;

  /** From the end: what was said before this owner came is found by its first look. */
  async function begin(): Promise<RedisConnection> {
    for (const wake of wakes) {
      if (places.has(wake)) continue;
      const [last] = listOf(await ask.one(['XREVRANGE', wake, '+', '-', 'COUNT', 1]));
      places.set(wake, textOf(listOf(last)[0]) ?? '0-0');
    }
    reader ??= openReader(`domaind:${group}:partitions`);
    return reader;
  }

  return {
    async hear(ms: Millis, signal: AbortSignal): Promise<readonly PartitionHint[]> {
      const connection = await begin();
      const asReader = createAsk(connection, name);
      await asReader.ready(signal);
      if (signal.aborted) return [];
      const from = wakes.map((wake) => places.get(wake) ?? '0-0');
      const asking = asReader.one(
        ['XREAD', 'COUNT', hintsACall, 'BLOCK', Math.max(1, Math.ceil(ms)), 'STREAMS', ...wakes, ...from],
        { boundMs: ms + commandTimeoutMs },
      );
      const heard = new Map<string, PartitionHint>();
      for (const each of listOf(await untilAborted(asking, signal, { reader: connection, ask, clock }))) {
        const [wake, hints] = listOf(each);
        for (const hint of listOf(hints)) {
          const [id, fields] = listOf(hint);
          places.set(textOf(wake) ?? '', textOf(id) ?? '0-0');
          const [about, key] = listOf(fields).map(textOf);
          if (typeof key !== 'string') continue;
          const freed = about === 'freed' || heard.get(key)?.freed === true;
          heard.set(key, { key, freed });
        }
      }
      return [...heard.values()];
    },
    close() {
      if (reader !== null) closeReader(reader);
      reader = null;
    },
  };
}
