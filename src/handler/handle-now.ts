import type { Clock, Random } from '../runtime/clock.ts';
import { toError } from '../runtime/failure.ts';
import { answerOnce } from './answer-once.ts';
import type { InvokeDeps } from './call-function.ts';
import { undo } from './call-function.ts';
import type { Idempotency } from './idempotency.ts';
import { idempotencyKeyOf } from './idempotency.ts';
import type { InProcess } from './in-process.ts';
import { invoke } from './invoke.ts';
import type { QuickRetries } from './quick-retries.ts';
import { withQuickRetries } from './quick-retries.ts';
import type { Raised } from './raised.ts';

/** What came of a message that was handled where it came about. */
export interface HandledNow {
  readonly messageId: string;
  /** What the handler of a command returned; undefined for events, and for a command that was handled before. */
  readonly value: unknown;
}

export interface HandleNowDeps extends InvokeDeps {
  readonly inProcess: InProcess;
  readonly quickRetries: QuickRetries;
  /** Where the keys of commands are kept; left out, a key means nothing. */
  readonly idempotency?: Idempotency;
  readonly clock: Clock;
  readonly random: Random;
  readonly hard: AbortSignal;
}

/**
 * Handles a message from outside of any handler in the process that it comes to. Null: it goes to the outbox. Rejects with
 * what the handler throws, and UnavailableError where its database is away.
 */
export type HandleNow = (message: Raised) => Promise<HandledNow | null>;

const never = new AbortController().signal;

export function createHandleNow(deps: HandleNowDeps): HandleNow {
  const { inProcess, quickRetries, unitsOfWork, idempotency, random } = deps;

  async function command(message: Raised): Promise<HandledNow | null> {
    const handler = inProcess.commandHandler(message);
    if (handler === null) return null;
    inProcess.taken(message);
    const { messageId, message: fresh } = inProcess.composed(message);
    const call = { entryId: messageId, attempt: 1, signal: () => never };
    const attempted = () => withQuickRetries(() => invoke(handler, fresh(), call, deps), quickRetries, deps);
    const key = idempotencyKeyOf(fresh());
    // Each call is an owner of its own: of two at once, one carries the command out.
    const asked = { key: key ?? '', owner: `${messageId}#${random()}`, again: false, awaited: true };
    const outcome =
      key === null || idempotency === undefined ? await attempted() : await answerOnce(asked, idempotency, attempted);
    if (outcome.kind === 'done') return { messageId, value: outcome.value };
    throw outcome.error;
  }

  async function event(message: Raised): Promise<HandledNow | null> {
    const work = unitsOfWork.beginMany([]);
    const root = inProcess.begin(
      deps,
      () => work,
      () => never,
    );
    const messageId = root.raise(message);
    if (messageId === null) return null;
    try {
      await root.settle();
      await work.commit();
      return { messageId, value: undefined };
    } catch (thrown) {
      const outcome = await undo({ work }, toError(thrown));
      throw outcome.kind === 'unavailable' ? outcome.error : thrown;
    }
  }

  return (message) => (message.kind === 'COMMAND' ? command(message) : event(message));
}
