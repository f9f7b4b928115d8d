import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, textOf } from '../connection/reply-of-redis.ts';
import { attemptsOf } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { UnavailableError } from '../runtime/errors.ts';
import { formatHistory } from './attempt-records.ts';
import type { AttemptRecord, Delivery, Settlement } from './broker.ts';
import type { Answer } from './redis-ask.ts';
import type { Membership } from './redis-membership.ts';
import { byStream, givenBack, scriptOn } from './redis-membership.ts';
import { deadLetter, giveBack, heartbeat as heartbeatScript, recordStart, retry } from './redis-pending-scripts.ts';

/** Longer than any reclaim waits, so that what was given back is taken at once. */
const idleOfGivenBack: Millis = 30 * 24 * 3_600_000;

/** A command, and what its answer means: the deliveries that another consumer owns by now. */
interface Step {
  readonly command: RedisCommand;
  read(answer: Answer): readonly Delivery[];
}

type Retry = Extract<Settlement, { readonly kind: 'retry' }>;
type GiveBack = Extract<Settlement, { readonly kind: 'give_back' }>;
type DeadLetter = Extract<Settlement, { readonly kind: 'dead_letter' }>;

/** What one consumer writes down: settlements, starts and heartbeats, each call in one round trip. */
export function createRedisSettle(membership: Membership) {
  const { ask, keys, group, hand } = membership;

  const release = (deliveries: readonly Delivery[]) => {
    for (const { stream, id } of deliveries) hand.release(stream, id);
    return deliveries;
  };

  /** Those of `deliveries` whose ids the answer lists; they are no longer in our hand. */
  const disowned = (answer: Answer, deliveries: readonly Delivery[]) => {
    const ids = new Set(listOf(answer).map(textOf));
    return ids.size === 0 ? [] : release(deliveries.filter(({ id }) => ids.has(id)));
  };

  /** XACK asks nobody whose an entry is. That is right here: the handler has done its work, whoever owns it by now. */
  function acknowledgements(deliveries: readonly Delivery[]): readonly Step[] {
    return [...byStream(deliveries, ({ stream }) => stream)].flatMap(([stream, acked]) => {
      const ids = acked.map(({ id }) => id);
      const known = acked.filter(hasBookkeeping).flatMap(({ id }) => [id, `crash:${id}`]);
      const ack: Step = {
        command: ['XACK', keys.keyOf(stream), group, ...ids],
        read: () => {
          release(acked);
          return [];
        },
      };
      const forget: Step = {
        command: ['HDEL', keys.keyOf(attemptsOf(stream, group)), ...known],
        read: () => [],
      };
      return known.length === 0 ? [ack] : [ack, forget];
    });
  }

  function retries(settlements: readonly Retry[]): readonly Step[] {
    return [...byStream(settlements, ({ delivery }) => delivery.stream)].map(([stream, retried]) => {
      const histories = new Map(
        retried.map((each): [Delivery, readonly AttemptRecord[]] => [each.delivery, after(each)]),
      );
      const args = [...histories].flatMap(([{ id }, history]) => [id, formatHistory(history)]);
      return {
        command: scriptOn(membership, retry, stream, args),
        read: (answer) => {
          for (const [delivery, history] of histories) hand.note(delivery, history);
          return disowned(answer, [...histories.keys()]);
        },
      };
    });
  }

  function deadLetters({ delivery, stream, body }: DeadLetter): Step {
    const [, , , entryKey = '', bookkeeping = '', ...args] = scriptOn(membership, '', delivery.stream, [
      delivery.id,
      body,
    ]);
    return {
      command: ['EVAL', deadLetter, 3, entryKey, bookkeeping, keys.keyOf(stream), ...args],
      read: (answer) => {
        release([delivery]);
        return answer === -1 ? [delivery] : [];
      },
    };
  }

  function returns(settlements: readonly GiveBack[]): readonly Step[] {
    return [...byStream(settlements, ({ delivery }) => delivery.stream)].map(([stream, each]) => {
      const args = each.flatMap(({ delivery: { id, crashes }, idleMs = idleOfGivenBack }) => [
        id,
        Math.round(idleMs),
        crashes,
      ]);
      const returned = each.map(({ delivery }) => delivery);
      return {
        command: scriptOn(membership, giveBack, stream, [givenBack, ...args]),
        read: (answer) => {
          const others = disowned(answer, returned);
          release(returned);
          return others;
        },
      };
    });
  }

  async function make(steps: readonly Step[]): Promise<readonly Delivery[]> {
    const answers = await ask.all(steps.map(({ command }) => command));
    return conclude(steps, answers);
  }

  /** Reads every answer before the first failure is thrown, so that what was made so is known to be. */
  function conclude(steps: readonly Step[], answers: readonly Answer[]): readonly Delivery[] {
    const failures: Error[] = [];
    const others = steps.flatMap(({ command, read }, index) => {
      const answer = answers[index] ?? null;
      if (!(answer instanceof Error)) return read(answer);
      failures.push(ask.failed(answer, command));
      return [];
    });
    const failure = failures.find((error) => error instanceof UnavailableError) ?? failures[0];
    if (failure !== undefined) throw failure;
    return others;
  }

  return {
    acknowledgements,
    conclude,

    settle(settlements: readonly Settlement[]): Promise<readonly Delivery[]> {
      const of = <K extends Settlement['kind']>(kind: K) =>
        settlements.filter((each): each is Extract<Settlement, { readonly kind: K }> => each.kind === kind);
      return make([
        ...acknowledgements(of('ack').map(({ delivery }) => delivery)),
        ...retries(of('retry')),
        ...of('dead_letter').map(deadLetters),
        ...returns(of('give_back')),
      ]);
    },

    heartbeat(held: readonly Delivery[]): Promise<readonly Delivery[]> {
      return make(
        [...byStream(held, ({ stream }) => stream)].map(([stream, deliveries]) => ({
          command: scriptOn(
            membership,
            heartbeatScript,
            stream,
            deliveries.map(({ id }) => id),
          ),
          read: (answer) => disowned(answer, deliveries),
        })),
      );
    },

    async recordStart({ stream, id }: Delivery): Promise<void> {
      await ask.one(scriptOn(membership, recordStart, stream, [id]));
    },

    /** The same as giving back deliveries, for entries that never became any; their bookkeeping is let be. */
    async returnUnseen(stream: string, ids: readonly string[]): Promise<void> {
      if (ids.length === 0) return;
      const args = ids.flatMap((id) => [id, idleOfGivenBack, '']);
      await ask.one(scriptOn(membership, giveBack, stream, [givenBack, ...args]));
    },
  };
}

export type RedisSettle = ReturnType<typeof createRedisSettle>;

/** An entry that was delivered once, and never failed, has left nothing to forget. */
const hasBookkeeping = ({ attempt, redelivered, suspect }: Delivery): boolean => attempt > 1 || redelivered || suspect;

/** From the delivery's own history, so that to make it so twice is to make it so once. */
const after = ({ delivery, failure }: Retry): readonly AttemptRecord[] => [...delivery.history, failure];
