import type { InOrder } from './in-order.ts';

/**
 * Runs tasks in batches, one after the other, each of as many as are there, up to `size`, in the order in which they were
 * added. What is added in one go comes into one batch. `run` must not reject.
 */
export function createInBatches<Task>(size: number, run: (tasks: readonly Task[]) => Promise<void>): InOrder<Task> {
  let queue: Task[] = [];
  let running = 0;
  let soon = false;

  function start(): void {
    soon = false;
    const batch = queue.splice(0, size);
    running = batch.length;
    if (running === 0) return;
    void run(batch).finally(() => {
      running = 0;
      startSoon();
    });
  }

  function startSoon(): void {
    if (soon || running > 0 || queue.length === 0) return;
    soon = true;
    queueMicrotask(start);
  }

  return {
    add(_key, task) {
      queue.push(task);
      startSoon();
    },
    drop() {
      const dropped = queue;
      queue = [];
      return dropped;
    },
    get running() {
      return running;
    },
    get queued() {
      return queue.length;
    },
  };
}
