import type { Millis } from './runtime/clock.ts';
import { DomaindError } from './runtime/errors.ts';
import type { ManualClock } from './runtime/manual-clock.ts';
import type { Watched } from './telemetry/monitor.ts';
import { isQuiet } from './telemetry/monitor.ts';

const dayMs: Millis = 86_400_000;

/** Moves the clock until nothing is left to do. Throws DomaindError when that takes more than a day. */
export async function settle(watched: Watched, clock: ManualClock): Promise<void> {
  const until = clock.now() + dayMs;
  // Twice: what is looked up one after the other may move from what is still to be seen to what was seen.
  for (let quiet = 0, stepMs = 1; quiet < 2; stepMs = Math.min(60_000, stepMs * 2)) {
    await clock.advance(stepMs);
    quiet = (await isQuiet(watched)) ? quiet + 1 : 0;
    if (clock.now() > until) throw new DomaindError('not_settled', 'something is still to be done after a day');
  }
}

/** Real time is dear: a minute, and not a day. */
export async function settleReally(watched: Watched, realTime: ManualClock): Promise<void> {
  const until = realTime.now() + 60_000;
  for (let quiet = 0; quiet < 2; ) {
    await realTime.advance(25);
    quiet = (await isQuiet(watched)) ? quiet + 1 : 0;
    if (realTime.now() > until) throw new DomaindError('not_settled', 'something is still to be done after a minute');
  }
}
