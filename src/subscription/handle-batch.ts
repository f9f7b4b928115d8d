import type { Outcome } from '../handler/invoke.ts';
import type { BatchItem } from '../handler/invoke-batch.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Held } from './in-hand.ts';
import type { Opened } from './opened.ts';

/** How a handler that takes many messages at once is called. */
export interface BatchDeps {
  readonly size: number;
  /** An outcome for each; null: each is to be handled by itself. Never rejects. */
  readonly run: (items: readonly BatchItem[]) => Promise<readonly Outcome[] | null>;
}

/** A delivery in hand, and what it holds. */
export interface Task {
  readonly held: Held;
  readonly opened: Opened;
}

/** The steps of handling, as those of one delivery by itself are. */
export interface Steps {
  readonly handle: (task: Task) => Promise<void>;
  readonly begin: (tasks: readonly Task[]) => Millis;
  readonly signal: (held: Held) => AbortSignal;
  readonly end: (count: number, startedAt: Millis) => Millis;
  readonly conclude: (task: Task, outcome: Outcome, tookMs: Millis) => void;
}

/**
 * Handles a batch: what can be read as a message together, and the rest, or all of it where that has failed, one by one in
 * its order. A single one is no batch.
 */
export async function handleBatch(tasks: readonly Task[], batch: BatchDeps, steps: Steps): Promise<void> {
  const items = tasks.length === 1 ? [] : tasks.flatMap((task) => itemIn(task, steps));
  const apart = items.length < 2 ? tasks : (await handleTogether(items, batch, steps)) ? without(tasks, items) : tasks;
  for (const task of apart) await steps.handle(task);
}

interface Item extends BatchItem {
  readonly task: Task;
}

function itemIn(task: Task, { signal }: Steps): readonly Item[] {
  const { held, opened } = task;
  const incoming = held.disowned ? null : (opened.take?.() ?? null);
  if (incoming === null) return [];
  const { id: entryId, attempt } = held.delivery;
  return [{ task, incoming, call: { entryId, attempt, signal: () => signal(held) } }];
}

/** Whether they were handled. Where they were not, they wait for their turn as if nothing had been. */
async function handleTogether(items: readonly Item[], { run }: BatchDeps, steps: Steps): Promise<boolean> {
  const { begin, end, conclude } = steps;
  const startedAt = begin(items.map(({ task }) => task));
  const outcomes = await run(items);
  if (outcomes === null) for (const { task } of items) task.held.state = 'queued';
  const tookMs = end(items.length, startedAt);
  for (const [index, { task }] of items.entries()) {
    const outcome = outcomes?.[index];
    if (outcome !== undefined) conclude(task, outcome, tookMs);
  }
  return outcomes !== null;
}

function without(tasks: readonly Task[], items: readonly Item[]): readonly Task[] {
  const handled = new Set(items.map(({ task }) => task));
  return tasks.filter((task) => !handled.has(task));
}
