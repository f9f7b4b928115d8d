/** The command that does a run again, and shows it. */
export const replayOf = (seed: number): string => `npm run test:simulation -- --seed ${seed}`;
