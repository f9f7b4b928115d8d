import { isErrorNamed } from '../runtime/errors.ts';
import type { InvokeDeps, Outcome } from './call-function.ts';
import { callFunction } from './call-function.ts';
import type { Call } from './context.ts';
import type { HandlerFunction } from './handler.ts';
import type { Incoming } from './incoming.ts';

/** Where the inbox keeps the account of one of several functions. */
export const siblingName = (handler: string, sibling: string): string => `${handler}/${sibling}`;

/**
 * Calls the several functions that a handler has for one message, one after the other, each in a unit of work of its own:
 * where one fails the others have their effects still, and are not run again with it. Those that never touch their database
 * are noted once a sibling has failed, so that they are known as well. Never rejects.
 */
export async function invokeEach(
  name: string,
  siblings: ReadonlyMap<string, HandlerFunction>,
  incoming: Incoming,
  call: Call,
  deps: InvokeDeps,
): Promise<Outcome> {
  const done = call.done?.() ?? new Set<string>();
  const outcomes: Outcome[] = [];
  for (const [sibling, run] of siblings) {
    if (done.has(sibling)) continue;
    const own = siblingName(name, sibling);
    const known = call.attempt > 1 && (await isKnown(own, incoming, call, deps));
    const outcome: Outcome = known
      ? { kind: 'done', effect: 'duplicate', value: undefined }
      : await callFunction(own, run, structuredClone(incoming), call, deps);
    if (outcome.kind === 'done') done.add(sibling);
    outcomes.push(outcome);
  }
  const worst = worstOf(outcomes);
  if (worst.kind !== 'done') for (const sibling of done) await note(siblingName(name, sibling), incoming, call, deps);
  return worst;
}

/** One that may succeed at another try outweighs one that never will: the message is tried again for its sake. */
function worstOf(outcomes: readonly Outcome[]): Outcome {
  const failed = outcomes.filter(({ kind }) => kind === 'failed');
  const hopeful = failed.find((each) => each.kind === 'failed' && !isErrorNamed(each.error, 'NonRetryableError'));
  const worst = hopeful ?? failed[0] ?? outcomes.find(({ kind }) => kind === 'unavailable');
  if (worst !== undefined) return worst;
  const fresh = outcomes.some((each) => each.kind === 'done' && each.effect === 'ok');
  return { kind: 'done', effect: fresh ? 'ok' : 'duplicate', value: undefined };
}

const workFor = (name: string, { id, kind }: Incoming, { entryId }: Call, { unitsOfWork }: InvokeDeps) =>
  unitsOfWork.begin({ handler: name, messageId: id, kind, entryId });

/** Whether the inbox has an account of it: asked before another attempt, since a function may not touch its database. */
async function isKnown(name: string, incoming: Incoming, call: Call, deps: InvokeDeps): Promise<boolean> {
  const work = workFor(name, incoming, call, deps);
  try {
    const [fresh] = await work.claim();
    return fresh === false;
  } catch {
    // The function finds out itself, if it needs the database at all.
    return false;
  } finally {
    await work.rollback();
  }
}

/** Writes the inbox row of a function that has ended well. Where that cannot be had, it runs again with its sibling. */
async function note(name: string, incoming: Incoming, call: Call, deps: InvokeDeps): Promise<void> {
  const work = workFor(name, incoming, call, deps);
  try {
    await work.claim();
    await work.commit();
  } catch {
    await work.rollback();
  }
}
