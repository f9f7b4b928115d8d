import type { Outcome } from './outcome.ts';
import type { Place } from './place.ts';

/** One question, and how it is answered. */
export interface Bench {
  readonly name: string;
  /** Leaves the servers running and its tables and streams behind. */
  run(place: Place): Promise<readonly Outcome[]>;
}
