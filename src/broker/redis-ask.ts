import type { AskOptions, RedisConnection } from '../connection/redis.ts';
import type { RedisCommand, RedisReply } from '../connection/reply-of-redis.ts';
import { RedisReplyError } from '../connection/reply-of-redis.ts';
import type { DomaindError } from '../runtime/errors.ts';
import type { RedisFault } from './redis-errors.ts';
import { faultOf, translated } from './redis-errors.ts';

export type Answer = RedisReply | Error;

/** A connection, with its errors in the words of the broker's port. */
export interface Ask {
  /** One command. Throws UnavailableError or MisconfiguredError. */
  one(command: RedisCommand, options?: AskOptions): Promise<RedisReply>;
  /** Several in one round trip, with each one's answer or error in its place. Throws when there is no answer at all. */
  all(commands: readonly RedisCommand[], options?: AskOptions): Promise<readonly Answer[]>;
  /** Resolves when commands can be sent, or as soon as `signal` aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** The error to throw for one that came in the place of an answer, or in one. */
  failed(error: Error, command: RedisCommand | undefined): DomaindError;
}

/**
 * Whether the connection is of no use after such an answer: a replica that was a primary keeps its connections and refuses
 * every write on them for ever, and after a protocol error the server hangs up.
 */
const spoils = (fault: RedisFault): boolean => fault === 'demoted' || fault === 'too_large';

/** `name` is the broker's, for error texts. */
export function createAsk(connection: RedisConnection, name: string): Ask {
  function failed(error: unknown, command: RedisCommand | undefined): DomaindError {
    if (error instanceof RedisReplyError && spoils(faultOf(error))) connection.drop();
    return translated(error, `broker "${name}": ${command?.[0] ?? 'command'}`);
  }

  async function all(commands: readonly RedisCommand[], options?: AskOptions): Promise<readonly Answer[]> {
    if (commands.length === 0) return [];
    let answers: readonly Answer[];
    try {
      answers = await connection.askAll(commands, options);
    } catch (error) {
      throw failed(error, commands.at(-1));
    }
    if (answers.some((answer) => answer instanceof Error && spoils(faultOf(answer)))) connection.drop();
    return answers;
  }

  return {
    all,
    failed,
    async ready(signal) {
      try {
        await connection.ready(signal);
      } catch (error) {
        throw failed(error, ['connecting']);
      }
    },
    async one(command, options) {
      const [answer = null] = await all([command], options);
      if (answer instanceof Error) throw failed(answer, command);
      return answer;
    },
  };
}
