import { deadlineIn } from '../message/deadline.ts';
import type { Millis } from '../runtime/clock.ts';
import type { MisconfiguredError } from '../runtime/errors.ts';
import { UnavailableError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { Call, ContextDeps, Scope } from './context.ts';
import { contextOf, createScope, logFacts } from './context.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import type { HandlerFunction } from './handler.ts';
import type { Incoming } from './incoming.ts';
import type { Running, RunningCall } from './running.ts';

/** How a call of a handler ended. */
export type Outcome =
  | {
      readonly kind: 'done';
      /** `duplicate`: its effects were there already. `skipped`: it has no function for this message. */
      readonly effect: 'ok' | 'duplicate' | 'skipped';
      /** What the function returned. */
      readonly value: unknown;
    }
  /** The handler's fault, or the message's: an attempt is counted. */
  | { readonly kind: 'failed'; readonly error: Error }
  /**
   * Nobody's fault: something that it needs was away or is not set up, the message was lost to another consumer, or the
   * daemon stops. No attempt is counted.
   */
  | { readonly kind: 'unavailable'; readonly error: UnavailableError | MisconfiguredError };

export interface InvokeDeps extends ContextDeps {
  readonly deadlines: Deadlines;
  /** Where calls are kept while they are under way; left out where nobody asks. */
  readonly running?: Running;
}

/** Calls one function, in a unit of work whose inbox row is under `name`. Never rejects. */
export async function callFunction(
  name: string,
  run: HandlerFunction,
  incoming: Incoming,
  call: Call,
  deps: InvokeDeps,
): Promise<Outcome> {
  const scope = createScope(name, incoming, call, deps);
  // A border: what the wire brought is what the function says it takes.
  const argument = (incoming.kind === 'EXTERNAL' ? incoming.payload : incoming) as never;
  try {
    const deadlineAt = incoming.kind === 'EXTERNAL' ? null : deadlineIn(incoming.metadata.headers);
    const value = await inTime(() => settled(run(argument, contextOf(scope)), scope), scope, deps, deadlineAt);
    return { kind: 'done', effect: await commit(scope), value };
  } catch (thrown) {
    return await undo(scope, toError(thrown));
  }
}

/** The same, once what was raised in it has been handled, where that is done in this process. */
const settled = (begun: unknown, scope: Scope): unknown =>
  scope.deps.inProcess === undefined ? begun : settle(begun, scope);

async function settle(begun: unknown, scope: Scope): Promise<unknown> {
  const value = await begun;
  await scope.root?.settle();
  return value;
}

/** What `run` returns or throws, unless it is cut short before. Whatever it does afterwards has no effect any more. */
export async function inTime(
  run: () => unknown,
  scope: Scope,
  { deadlines, running }: InvokeDeps,
  deadlineAt: Millis | null = null,
): Promise<unknown> {
  const call: RunningCall | null = running === undefined ? null : { facts: () => logFacts(scope) };
  const enter = () => (running === undefined || call === null ? run() : running.enter(call, run));
  let timed = null as Timed | null;
  try {
    return await new Promise((resolve, reject) => {
      let begun: unknown;
      scope.whenCut = (reason) => {
        if (begun !== undefined) deadlines.linger(begun, scope);
        reject(reason);
      };
      timed = deadlines.begin(scope.cut, deadlineAt);
      if (scope.cutFor !== null) return;
      begun = Promise.resolve(enter());
      if (scope.cutFor !== null) deadlines.linger(begun, scope);
      Promise.resolve(begun).then(resolve, reject);
    });
  } finally {
    if (timed !== null) deadlines.end(timed);
    if (call !== null) running?.leave(call);
    scope.ended = true;
  }
}

async function commit({ work }: Scope): Promise<'ok' | 'duplicate'> {
  return work !== null && (await work.commit()) === 'duplicate' ? 'duplicate' : 'ok';
}

/**
 * Rolls back and says how it ended. That the message was handled before, or that the database is gone, outweighs what
 * the handler made of it: it may have caught that and thrown an error of its own.
 */
export async function undo({ work }: Pick<Scope, 'work'>, error: Error): Promise<Outcome> {
  await work?.rollback();
  if (work?.state === 'duplicate') return { kind: 'done', effect: 'duplicate', value: undefined };
  const outage = error instanceof UnavailableError ? error : (work?.outageBehind(error) ?? null);
  return outage === null ? { kind: 'failed', error } : { kind: 'unavailable', error: outage };
}
