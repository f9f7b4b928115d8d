import { toError } from '../runtime/failure.ts';
import type { InvokeDeps } from './call-function.ts';
import { inTime } from './call-function.ts';
import type { Call } from './context.ts';
import { contextOf, createScope } from './context.ts';
import type { ErrorHook } from './handler.ts';
import type { Incoming } from './incoming.ts';

/**
 * Tells a handler's `handleError` how an attempt has failed: the error of the attempt from then on. That is what it
 * throws, so that it may turn one error into another (a NonRetryableError, say), and otherwise the one it was told.
 * It has the time of a handler, and no transaction: what failed is rolled back, and nothing more is written about it.
 */
export async function heardOut(
  hook: ErrorHook,
  error: Error,
  incoming: Incoming,
  call: Call,
  deps: InvokeDeps,
): Promise<Error> {
  const scope = createScope('handleError', incoming, call, deps);
  const { message, attempt, config, log, signal } = contextOf(scope);
  // A border: what the wire brought is what the hook says it takes.
  const argument = (incoming.kind === 'EXTERNAL' ? incoming.payload : incoming) as never;
  try {
    await inTime(() => hook(error, argument, { message, attempt, config, log, signal }), scope, deps);
    return error;
  } catch (thrown) {
    return toError(thrown);
  }
}
