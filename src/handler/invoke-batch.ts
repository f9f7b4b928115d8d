import type { Message } from '../message/message.ts';
import { toError } from '../runtime/failure.ts';
import type { InvokeDeps, Outcome } from './call-function.ts';
import { inTime, undo } from './call-function.ts';
import type { Call, Scope } from './context.ts';
import { contextOf, createScope, logFacts } from './context.ts';
import type { Batch, BatchContext, HandlerContext } from './handler.ts';
import type { Incoming } from './incoming.ts';

/** One message of a batch, and what is known of its delivery. */
export interface BatchItem {
  readonly incoming: Message;
  readonly call: Call;
}

/**
 * Calls a batch function once for many messages, in one transaction whose first statement writes the inbox rows of all.
 * Messages that were handled before are left out. One outcome for each, in their order; null where it failed, for then
 * nobody knows which message it was, and each is to be tried by itself. Never rejects.
 */
export async function invokeBatch(
  name: string,
  { types, handle }: Batch,
  items: readonly BatchItem[],
  deps: InvokeDeps,
): Promise<readonly Outcome[] | null> {
  const wanted = items.filter(({ incoming }) => isWanted(types, incoming));
  const [first] = wanted;
  if (first === undefined) return items.map(() => skipped);
  const scope = createScope(name, first.incoming, first.call, deps);
  const work = deps.unitsOfWork.beginMany(
    wanted.map(({ incoming: { id, kind }, call: { entryId } }) => ({ handler: name, messageId: id, kind, entryId })),
  );
  scope.work = work;
  try {
    const fresh = await work.claim();
    const messages = wanted.filter((_, index) => fresh[index] === true).map(({ incoming }) => incoming);
    if (messages.length > 0) {
      await inTime(() => handle(messages as never, batchContext(scope, messages.length)), scope, deps);
      await work.commit();
    } else await work.rollback();
    const effects = new Map(wanted.map((item, index) => [item, fresh[index] === true ? ok : duplicate]));
    return items.map((item) => effects.get(item) ?? skipped);
  } catch (thrown) {
    const outcome = await undo(scope, toError(thrown));
    return outcome.kind === 'unavailable' ? items.map(() => outcome) : null;
  }
}

const ok: Outcome = { kind: 'done', effect: 'ok', value: undefined };
const duplicate: Outcome = { kind: 'done', effect: 'duplicate', value: undefined };
const skipped: Outcome = { kind: 'done', effect: 'skipped', value: undefined };

/** Whether a batch function takes a message: those of other types are acknowledged without it. */
export const isWanted = (types: Batch['types'], incoming: Incoming): boolean =>
  types === null || (incoming.kind !== 'EXTERNAL' && types.has(incoming.name));

/** Its lines are about the first message and say how many there are. */
function batchContext(scope: Scope, messages: number): BatchContext {
  const { deps } = scope;
  const all = contextOf(scope);
  const log = () => deps.log({ ...logFacts(scope), messages });
  return batchContextOf(all, log);
}

/** What a batch function may do: all that does not need to know which message it is for. */
export function batchContextOf(all: HandlerContext, log: () => HandlerContext['log'] = () => all.log): BatchContext {
  return {
    attempt: all.attempt,
    config: all.config,
    store: all.store,
    get sql() {
      return all.sql;
    },
    get signal() {
      return all.signal;
    },
    get log() {
      return log();
    },
  };
}
