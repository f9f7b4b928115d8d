import { acknowledged } from '../harness/counts.ts';
import type { DaemonSettings } from '../harness/daemon.ts';
import { startDaemon } from '../harness/daemon.ts';
import { domain, stream } from '../harness/messages.ts';
import type { Place } from '../harness/place.ts';
import { cpuSeconds } from '../harness/process-usage.ts';
import type { Program } from '../harness/program.ts';
import { startScript } from '../harness/program.ts';
import type { Contender } from '../harness/side-by-side.ts';
import type { Steady } from '../harness/steady-rate.ts';
import { middle, steadyRate } from '../harness/steady-rate.ts';

/** The group of the one handler that every file of bench/handlers exports. */
export const group = `${domain}.Measured`;

/** Starts `start` with its group at the beginning of a stream of `count` entries, and measures the acknowledgements. */
export async function measureConsumer(
  place: Place,
  count: number,
  start: () => Promise<Program> | Program,
): Promise<Steady> {
  const { redis } = place;
  await redis.xgroup('DESTROY', stream, group);
  await redis.xgroup('CREATE', stream, group, '0');
  const program = await start();
  try {
    const done = () => acknowledged(redis, stream, group);
    return await steadyRate(middle(count), done, () => cpuSeconds(program.pid), program.broke);
  } finally {
    await program.stop();
  }
}

/** The daemon with one handler. */
export const daemonConsumer = (
  place: Place,
  count: number,
  settings: Partial<DaemonSettings> & { readonly handlers: string },
): Contender => ({
  name: `domaind, ${settings.profile ?? 'production'}`,
  measure: () => measureConsumer(place, count, () => startDaemon(place, { only: 'subscriptions', ...settings })),
});

/** What any consumer could do at best. */
export const handWrittenConsumer = (place: Place, count: number, batch: number): Contender => ({
  name: `by hand, COUNT ${batch}`,
  measure: () =>
    measureConsumer(place, count, () =>
      startScript('programs/limit-consumer.ts', place.environment, [stream, group, String(batch)]),
    ),
});
