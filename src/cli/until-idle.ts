import type { Clock } from '../runtime/clock.ts';
import type { Watched } from '../telemetry/monitor.ts';
import { isQuiet } from '../telemetry/monitor.ts';

/** Aborts `idle` once the outbox is empty and no group has anything left to handle, twice in a row. */
export async function stopWhenIdle(watched: Watched, idle: AbortController, clock: Clock): Promise<void> {
  let quiet = 0;
  while (!idle.signal.aborted) {
    // Away: then it cannot be said, and the daemon goes on.
    quiet = (await isQuiet(watched).catch(() => false)) ? quiet + 1 : 0;
    if (quiet === 2) idle.abort('nothing is left to do');
    await clock.sleep(200, idle.signal);
  }
}
