import type { RedisArgument, RedisCommand, RedisReply } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, RedisReplyError, textOf } from '../connection/reply-of-redis.ts';
import type { DomaindError } from '../runtime/errors.ts';
import { formatHistory, parseHistory } from './attempt-records.ts';
import { blockedBy, formatBlocked } from './blocked.ts';
import type { Delivery, Settlement } from './broker.ts';
import type { Fenced, Partitions } from './partition.ts';
import type { Ask } from './redis-ask.ts';
import { entryOf } from './redis-entry.ts';
import type { PartitionKeys } from './redis-partition-keys.ts';
import { tokenOf } from './redis-partition-keys.ts';
import { recordStart, retake, settle, stillOurs } from './redis-partition-scripts.ts';

export interface PartitionSettleDeps {
  readonly group: string;
  readonly owner: string;
  readonly keys: PartitionKeys;
  readonly ask: Ask;
}

const deliveriesACall = 250;

/** What the owner of keys writes down of their deliveries: each call in one round trip, each by the owner alone. */
export function createPartitionSettle({ group, owner, keys, ask }: PartitionSettleDeps) {
  async function forEach<Thing>(
    script: string,
    fenced: readonly Fenced<Thing>[],
    deliveryIn: (thing: Thing) => Delivery,
    argumentsOf: (thing: Thing) => readonly RedisArgument[],
  ): Promise<readonly RedisReply[]> {
    const answers: RedisReply[] = [];
    for (let from = 0; from < fenced.length; from += deliveriesACall) {
      const some = fenced.slice(from, from + deliveriesACall);
      const names = some.flatMap(({ lease, thing }) => [
        keys.lease(lease.key),
        ...keys.around(deliveryIn(thing).stream),
      ]);
      const args = some.flatMap(({ lease, thing }) => {
        const [kind = '', one = '', other = ''] = argumentsOf(thing);
        return [tokenOf(owner, lease), deliveryIn(thing).id, lease.key, kind, one, other];
      });
      const command: RedisCommand = ['EVAL', script, names.length, ...names, group, ...args];
      answers.push(...listOf(await ask.one(command, { bytes: true })));
    }
    return answers;
  }

  const itself = (delivery: Delivery) => delivery;
  const nothing = (): readonly RedisArgument[] => [];
  const errorOf = (text: string, command: string): DomaindError => ask.failed(new RedisReplyError(text), [command]);

  const settling: Pick<Partitions, 'settle' | 'recordStart' | 'retake' | 'gone'> = {
    async settle(settlements) {
      const answers = await forEach(settle, settlements, ({ delivery }) => delivery, argumentsOfSettlement);
      const failure = answers
        .map((answer) => (numberOf(answer) === null ? textOf(answer) : null))
        .find((text) => text !== null);
      // Those beside it are made so, and to make them so again does no harm.
      if (failure !== undefined && failure !== null) throw errorOf(failure, 'XADD');
      return settlements.filter((_, index) => numberOf(answers[index]) === -1).map(({ thing }) => thing.delivery);
    },
    async recordStart(delivery) {
      return numberOf((await forEach(recordStart, [delivery], itself, nothing))[0]) === 1;
    },
    async retake(held) {
      const answers = await forEach(retake, held, itself, nothing);
      return held.flatMap(({ thing: { stream, id, suspect, history: known } }, index) => {
        const [fields, history, crashes] = listOf(answers[index]);
        const fresh = deliveryOf(stream, id, fields, history, crashes);
        if (fresh === null) return [];
        // Where Redis could not keep the history, this process's memory of it has to do.
        const longer = known.length > fresh.history.length ? { history: known, attempt: known.length + 1 } : {};
        return [{ ...fresh, ...longer, redelivered: true, suspect: suspect && fresh.crashes > 0 }];
      });
    },
    async gone(held) {
      const answers = await forEach(stillOurs, held, itself, nothing);
      return held.filter((_, index) => numberOf(answers[index]) !== 1).map(({ thing }) => thing);
    },
  };
  return { ...settling, errorOf };
}

function argumentsOfSettlement(settlement: Settlement): readonly RedisArgument[] {
  const { kind, delivery } = settlement;
  switch (kind) {
    case 'ack':
      return [kind];
    case 'retry':
      return [kind, formatHistory([...delivery.history, settlement.failure])];
    case 'dead_letter':
      return [kind, settlement.body];
    case 'give_back':
      return [kind, delivery.crashes];
    case 'halt':
      return [kind, formatBlocked(blockedBy(delivery, settlement.failure))];
  }
}

/** An entry in the hand of its key's owner; null where it was deleted. */
export function deliveryOf(
  stream: string,
  id: RedisReply | string | undefined,
  fields: RedisReply | undefined,
  history: RedisReply | undefined,
  crashes: RedisReply | undefined,
): Delivery | null {
  const entry = entryOf([id ?? null, fields ?? null]);
  if (entry === null) return null;
  const { id: entryId, body, bare, raw } = entry;
  const known = parseHistory(textOf(history));
  return {
    id: entryId,
    stream,
    body,
    bare,
    raw,
    attempt: known.length + 1,
    history: known,
    redelivered: true,
    suspect: false,
    crashes: numberOf(crashes) ?? 0,
  };
}
