import type { InvokeDeps, Outcome } from './call-function.ts';
import { callFunction } from './call-function.ts';
import type { Call } from './context.ts';
import { heardOut } from './handle-error.ts';
import type { ErrorHook, Handling } from './handler.ts';
import type { Incoming } from './incoming.ts';
import { invokeEach } from './invoke-each.ts';

export type { InvokeDeps, Outcome } from './call-function.ts';

/** The part of a loaded handler that is needed to call it. */
export interface Invocable {
  readonly name: string;
  readonly handles: ReadonlyMap<string, Handling>;
  readonly handleError?: ErrorHook | null;
}

/**
 * Calls a handler once for one message and turns whatever happens into a value: user code throws no further than this.
 * Its transaction is committed when it returns and rolled back when it throws or is cut short. `incoming` must be
 * decoded anew for every call, since handlers may change what they are given. Never rejects.
 */
export async function invoke(handler: Invocable, incoming: Incoming, call: Call, deps: InvokeDeps): Promise<Outcome> {
  const { name, handles } = handler;
  const found = (incoming.kind === 'EXTERNAL' ? undefined : handles.get(incoming.name)) ?? handles.get('$any');
  if (found === undefined) return { kind: 'done', effect: 'skipped', value: undefined };
  const outcome =
    typeof found === 'function'
      ? await callFunction(name, found, incoming, call, deps)
      : await invokeEach(name, found, incoming, call, deps);
  if (outcome.kind !== 'failed' || handler.handleError == null) return outcome;
  return { kind: 'failed', error: await heardOut(handler.handleError, outcome.error, incoming, call, deps) };
}
