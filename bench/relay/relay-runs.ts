import { entriesAdded } from '../harness/counts.ts';
import type { DaemonSettings } from '../harness/daemon.ts';
import { startDaemon } from '../harness/daemon.ts';
import { refill, stream } from '../harness/messages.ts';
import type { Place } from '../harness/place.ts';
import { cpuSeconds } from '../harness/process-usage.ts';
import type { Program } from '../harness/program.ts';
import { startScript } from '../harness/program.ts';
import type { Contender } from '../harness/side-by-side.ts';
import type { Steady } from '../harness/steady-rate.ts';
import { middle, steadyRate } from '../harness/steady-rate.ts';

/** Starts `start` on an outbox of `rows` pending rows and an empty Redis, and measures how the stream grows. */
export async function measureRelay(
  place: Place,
  rows: number,
  start: () => Promise<Program> | Program,
  prepare: () => Promise<unknown> = () => refill(place.sql, rows),
): Promise<Steady> {
  await place.redis.flushall();
  await prepare();
  const program = await start();
  try {
    const added = () => entriesAdded(place.redis, stream);
    return await steadyRate(middle(rows), added, () => cpuSeconds(program.pid), program.broke);
  } finally {
    await program.stop();
  }
}

/** The daemon as a relay, nothing else. */
export const daemonRelay = (place: Place, rows: number, settings: Partial<DaemonSettings> = {}): Contender => ({
  name: settings.batch === undefined ? 'domaind' : `domaind, batch ${settings.batch}`,
  measure: () => measureRelay(place, rows, () => startDaemon(place, { only: 'relay', handlers: null, ...settings })),
});

/** What any relay could do at best. */
export const handWrittenRelay = (place: Place, rows: number, mode: 'sequential' | 'overlapped'): Contender => ({
  name: `by hand, ${mode}`,
  measure: () => measureRelay(place, rows, () => startScript('programs/limit-relay.ts', place.environment, [mode])),
});
