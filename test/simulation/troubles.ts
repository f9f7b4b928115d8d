import type { Chance } from './chance.ts';
import { longestPauseMs } from './process.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** What comes to replicas from outside, whatever they are at: deaths, restarts, pauses, outages, clocks that jump. */
export function planTroubles(world: World, chance: Chance, replicas: readonly Replica[], stormMs: number): void {
  const anyone = () => chance.oneOf(replicas);
  const troubles: readonly (() => void)[] = [
    () => anyone().process?.crash('killed'),
    () => {
      for (const { process } of replicas) process?.crash('killed with all others');
    },
    () => anyone().stop(chance.oneOf([0, 200, 3_000])),
    () => anyone().process?.pause(1 + chance.upTo(longestPauseMs), 'machine'),
    () => anyone().process?.skew(chance.oneOf([-600_000, 600_000, -3_000, 3_000])),
    () => anyone().process?.cut(chance.oneOf(['broker', 'database']), world.now() + chance.upTo(4_000)),
    () => {
      const link = chance.oneOf(['broker', 'database'] as const);
      const untilAt = world.now() + chance.upTo(5_000);
      for (const { process } of replicas) process?.cut(link, untilAt);
    },
  ];
  for (let count = chance.upTo(5); count > 0; count -= 1) {
    const trouble = chance.oneOf(troubles);
    world.after(chance.upTo(stormMs), null, trouble);
  }
}
