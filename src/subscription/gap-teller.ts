import type { GapReaderDeps } from '../event-store/gap-reader.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Emit } from '../telemetry/event.ts';

/** Shorter waits are nothing to speak of: every transaction takes its time to commit. */
const worthTelling: Millis = 1_000;
const againAfter: Millis = 30_000;

/** Says whom a subscription waits for, when it takes long, and when it is over. */
export function createGapTeller(
  about: { readonly subscription: string; readonly stream: string },
  { clock, emit }: { readonly clock: Clock; readonly emit: Emit },
): Pick<GapReaderDeps, 'onWait' | 'onGivenUp'> {
  let saidAt: Millis | null = null;
  let waitedMs = 0;
  return {
    onWait(wait) {
      if (wait === null) {
        if (saidAt !== null) emit({ event: 'gap.closed', ...about, waited_ms: waitedMs });
        saidAt = null;
        return;
      }
      waitedMs = wait.waitedMs;
      const now = clock.monotonic();
      if (waitedMs < worthTelling || (saidAt !== null && now - saidAt < againAfter)) return;
      saidAt = now;
      const { position, writer } = wait;
      emit({
        event: 'gap.waiting',
        ...about,
        position: String(position),
        pid: writer?.pid ?? null,
        application: writer?.application ?? null,
        user: writer?.user ?? null,
        age_ms: writer?.ageMs ?? null,
        waited_ms: waitedMs,
      });
    },
    onGivenUp: (positions) => emit({ event: 'gap.abandoned', ...about, positions: positions.map(String) }),
  };
}
