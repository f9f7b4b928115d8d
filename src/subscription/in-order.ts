/** Runs tasks side by side across keys and one after the other within a key. */
export interface InOrder<Task> {
  /** Runs the task when a place is free and no earlier one of its key is left. */
  add(key: string, task: Task): void;
  /** Takes out all tasks that have not begun, in the order they were added within each key. */
  drop(): readonly Task[];
  readonly running: number;
  readonly queued: number;
}

/** At most `places` tasks run at once. `run` must not reject: failures are outcomes, not exceptions. */
export function createInOrder<Task>(places: number, run: (task: Task) => Promise<void>): InOrder<Task> {
  /** Tasks that have not begun, for each key that has any or has one running. */
  const lines = new Map<string, Task[]>();
  /** Keys that have tasks and none running, first come first served. */
  let ready: string[] = [];
  let head = 0;
  let running = 0;
  let queued = 0;

  function start(key: string, task: Task): void {
    running += 1;
    void run(task).finally(() => finished(key));
  }

  function finished(key: string): void {
    running -= 1;
    if (lines.get(key)?.length === 0) lines.delete(key);
    else ready.push(key);
    while (running < places && head < ready.length) startNext();
    if (head === ready.length && head > 0) {
      ready = [];
      head = 0;
    }
  }

  function startNext(): void {
    const key = ready[head];
    head += 1;
    const task = key === undefined ? undefined : lines.get(key)?.shift();
    if (key === undefined || task === undefined) return;
    queued -= 1;
    start(key, task);
  }

  return {
    add(key, task) {
      const line = lines.get(key);
      if (line === undefined && running < places) {
        lines.set(key, []);
        return start(key, task);
      }
      queued += 1;
      if (line !== undefined) line.push(task);
      else {
        lines.set(key, [task]);
        ready.push(key);
      }
    },
    drop() {
      const dropped = [...lines.values()].flatMap((line) => line.splice(0));
      for (const key of ready.splice(head)) lines.delete(key);
      ready = [];
      head = 0;
      queued = 0;
      return dropped;
    },
    get running() {
      return running;
    },
    get queued() {
      return queued;
    },
  };
}
