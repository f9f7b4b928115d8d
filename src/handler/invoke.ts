import type { MisconfiguredError } from '../runtime/errors.ts';
import { UnavailableError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { Call, ContextDeps, Scope } from './context.ts';
import { contextOf, createScope } from './context.ts';
import type { Deadlines } from './deadlines.ts';
import type { HandlerFunction } from './handler.ts';
import type { Incoming } from './incoming.ts';

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
}

/** The part of a loaded handler that is needed to call it. */
export interface Invocable {
  readonly name: string;
  readonly handles: ReadonlyMap<string, HandlerFunction>;
}

/**
 * Calls a handler once for one message and turns whatever happens into a value: user code throws no further than this.
 * Its transaction is committed when it returns and rolled back when it throws or is cut short. `incoming` must be
 * decoded anew for every call, since handlers may change what they are given. Never rejects.
 */
export async function invoke(handler: Invocable, incoming: Incoming, call: Call, deps: InvokeDeps): Promise<Outcome> {
  const { name, handles } = handler;
  const external = incoming.kind === 'EXTERNAL';
  const run = (external ? undefined : handles.get(incoming.name)) ?? handles.get('$any');
  if (run === undefined) return { kind: 'done', effect: 'skipped', value: undefined };
  const scope = createScope(name, incoming, call, deps);
  // A border: what the wire brought is what the function says it takes.
  const argument = (external ? incoming.payload : incoming) as never;
  try {
    const value = await inTime(() => run(argument, contextOf(scope)), scope, deps.deadlines);
    return { kind: 'done', effect: await commit(scope), value };
  } catch (thrown) {
    return await undo(scope, toError(thrown));
  }
}

/** What `run` returns or throws, unless it is cut short before. */
async function inTime(run: () => unknown, scope: Scope, deadlines: Deadlines): Promise<unknown> {
  try {
    return await new Promise((resolve, reject) => {
      let running: unknown;
      scope.whenCut = (reason) => {
        if (running !== undefined) deadlines.linger(running);
        reject(reason);
      };
      deadlines.begin(scope.cut);
      if (scope.cutFor !== null) return;
      running = Promise.resolve(run());
      if (scope.cutFor !== null) deadlines.linger(running);
      Promise.resolve(running).then(resolve, reject);
    });
  } finally {
    deadlines.end(scope.cut);
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
async function undo({ work }: Scope, error: Error): Promise<Outcome> {
  await work?.rollback();
  if (work?.state === 'duplicate') return { kind: 'done', effect: 'duplicate', value: undefined };
  const outage = error instanceof UnavailableError ? error : (work?.outageBehind(error) ?? null);
  return outage === null ? { kind: 'failed', error } : { kind: 'unavailable', error: outage };
}
