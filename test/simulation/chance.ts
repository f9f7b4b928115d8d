/** All that a run of the simulation leaves to chance: the same numbers for the same seed. */
export interface Chance {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A whole number from 0 to `below - 1`. */
  readonly upTo: (below: number) => number;
  readonly happens: (probability: number) => boolean;
  readonly oneOf: <T>(things: readonly T[]) => T;
}

/** Mulberry32: 32 bits of state are enough to tell a million runs apart. */
export function chanceOf(seed: number): Chance {
  let state = (seed * 0x9e3779b1) >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const upTo = (below: number) => Math.floor(random() * below);
  return {
    random,
    upTo,
    happens: (probability) => random() < probability,
    oneOf(things) {
      const thing = things[upTo(things.length)];
      if (thing === undefined) throw new RangeError('there is nothing to choose from');
      return thing;
    },
  };
}
