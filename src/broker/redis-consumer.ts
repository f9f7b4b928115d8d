import type { RedisCommand } from '../connection/reply-of-redis.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Consumer } from './broker.ts';
import { isGroupLost } from './redis-errors.ts';
import type { Membership } from './redis-membership.ts';
import { createRedisRead } from './redis-read.ts';
import { createRedisReclaim } from './redis-reclaim.ts';
import { leave as leaveScript } from './redis-scripts.ts';
import { createRedisSettle } from './redis-settle.ts';
import { trim } from './redis-trim.ts';

/** A consumer that was not heard of for so long is dead; if not, Redis makes it anew with its next entry. */
const deadAfterMs: Millis = 3_600_000;

/**
 * One consumer of a group of Redis. Its parts share a membership and a hand: `redis-read` brings new entries,
 * `redis-reclaim` those that were delivered before, `redis-settle` writes down what became of them.
 */
export function createRedisConsumer(membership: Membership, onClose: () => void): Consumer {
  const { group, name, streams, keys, ask, reader } = membership;
  const settle = createRedisSettle(membership);
  const reclaim = createRedisReclaim(membership);

  /** What was delivered to us and never seen goes back, or it would keep this consumer from being removed. */
  async function returnMissing(): Promise<void> {
    for (const stream of streams) {
      const missing = await reclaim.missing(stream);
      await settle.returnUnseen(
        stream,
        missing.map(({ id }) => id),
      );
    }
  }

  return {
    group,
    name,
    streams,
    read: createRedisRead(membership, settle, reclaim),
    settle: settle.settle,
    recordStart: settle.recordStart,
    heartbeat: settle.heartbeat,
    retake: reclaim.retake,
    takeGivenBack: reclaim.takeGivenBack,
    reclaim: reclaim.reclaim,
    trim: (keep) => trim(membership, keep),
    async leave() {
      try {
        await returnMissing();
      } catch (error) {
        if (!isGroupLost(error)) throw error;
      }
      const commands = streams.map(
        (stream): RedisCommand => ['EVAL', leaveScript, 1, keys.keyOf(stream), group, name, deadAfterMs],
      );
      const failure = (await ask.all(commands)).find((answer) => answer instanceof Error);
      if (failure instanceof Error) throw ask.failed(failure, ['XGROUP DELCONSUMER']);
    },
    async close() {
      reader.close();
      onClose();
    },
  };
}
