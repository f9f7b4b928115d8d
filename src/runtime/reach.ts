import type { Clock, Millis } from './clock.ts';
import { UnavailableError } from './errors.ts';

/**
 * Asks again, after growing rests, while what is needed is away: until `until` on the monotonic clock, or until `stop`.
 * Throws the last UnavailableError then; any other error at once, since waiting does not mend it.
 */
export async function reach(need: () => Promise<void>, until: Millis, clock: Clock, stop: AbortSignal): Promise<void> {
  for (let restMs = 100; ; restMs = Math.min(2_000, restMs * 2)) {
    try {
      return await need();
    } catch (error) {
      if (!(error instanceof UnavailableError) || stop.aborted || clock.monotonic() + restMs > until) throw error;
    }
    await clock.sleep(restMs, stop);
  }
}
