import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BenchUsageError } from './options.ts';
import type { Place } from './place.ts';
import { cpuSeconds } from './process-usage.ts';
import type { Program } from './program.ts';
import { startScript } from './program.ts';
import type { Steady } from './steady-rate.ts';
import { middle, steadyRate } from './steady-rate.ts';

/** Throws BenchUsageError where the packages of the peers are not there. */
export function needPeers(): void {
  const installed = fileURLToPath(new URL('../peers/node_modules', import.meta.url));
  if (!existsSync(installed)) {
    throw new BenchUsageError('the peers are not installed: run `npm ci --prefix bench/peers --ignore-scripts`');
  }
}

/** Fills a peer with `count` jobs, then measures how fast it works, as `progress` counts it. */
export async function measurePeer(
  { environment, sql, redis }: Place,
  peer: string,
  phase: 'relay' | 'no-op',
  count: number,
  progress: (program: Program) => Promise<number>,
): Promise<Steady> {
  await redis.flushall();
  await startScript(`peers/${peer}.ts`, environment, ['fill', String(count)]).finished();
  await sql`checkpoint`;
  const program = startScript(`peers/${peer}.ts`, environment, [phase]);
  try {
    return await steadyRate(
      middle(count),
      () => progress(program),
      () => cpuSeconds(program.pid),
      program.broke,
    );
  } finally {
    await program.stop();
  }
}
