import { numberOf } from '../connection/reply-of-redis.ts';
import { UnavailableError } from '../runtime/errors.ts';
import type { PublishWait } from './broker.ts';
import type { Answer, Ask } from './redis-ask.ts';

/**
 * A connection that ends every round trip with WAIT, and takes the trip for failed where too few replicas have it: WAIT
 * only counts, and it counts the writes of its own connection. So this one is not to be shared with those who need a
 * quick answer: while it waits, Redis reads nothing else from it.
 *
 * After a shortfall it writes nothing before the replicas have caught up: what is tried again and again until then would
 * stand on the stream as often. `name` is the broker's, for error texts.
 */
export function createReplicatedAsk(ask: Ask, name: string): (wait: PublishWait) => Ask {
  let behind = false;

  return ({ replicas, timeoutMs }) => {
    const command = ['WAIT', replicas, timeoutMs] as const;

    function check(answer: Answer): void {
      if (answer instanceof Error) throw ask.failed(answer, command);
      const reached = numberOf(answer) ?? 0;
      behind = reached < replicas;
      if (!behind) return;
      const what = `${reached} of ${replicas} replicas had it within ${timeoutMs} ms`;
      throw new UnavailableError('redis_not_replicated', `broker "${name}": ${what}: it is published again`);
    }

    return {
      ...ask,
      async all(commands, options) {
        if (behind) check((await ask.all([command], options))[0] ?? null);
        const answers = await ask.all([...commands, command], options);
        const others = answers.slice(0, -1);
        // What was not written need not be waited for, and its error says more.
        if (!others.some((answer) => answer instanceof Error)) check(answers.at(-1) ?? null);
        return others;
      },
    };
  };
}
