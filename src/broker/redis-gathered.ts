import type { RedisCommand } from '../connection/reply-of-redis.ts';
import type { Answer, Ask } from './redis-ask.ts';

/** One command, sent with those that others ask for in the same moment. */
export type Gathered = (commands: readonly RedisCommand[]) => Promise<readonly Answer[]>;

/**
 * Sends what is asked for within one turn of the event loop in one round trip: for questions that all consumers of a
 * process ask at the same time, each second. Fifty of them cost little more than one.
 */
export function createGathered(ask: Ask): Gathered {
  let gathering: { readonly commands: RedisCommand[]; readonly answers: Promise<readonly Answer[]> } | null = null;

  function begin() {
    const commands: RedisCommand[] = [];
    const turn = new Promise<void>((resolve) => setImmediate(resolve));
    const answers = turn.then(() => {
      gathering = null;
      return ask.all(commands);
    });
    return { commands, answers };
  }

  return async (asked) => {
    gathering ??= begin();
    const { commands, answers } = gathering;
    const first = commands.length;
    commands.push(...asked);
    return (await answers).slice(first, first + asked.length);
  };
}
