import type { ReadRows } from './outbox.ts';
import type { ReadRow } from './postgresql-due.ts';

/** A row that was committed after others with higher ids is found after so many reads at the latest. */
const readsBetweenFronts = 16;

/** Where the reads of a shard begin. */
export interface Places {
  /** The id that the next read begins behind, a bigint as text. */
  next(request: ReadRows): string;
  /** Takes note of what a read found, and gives it back. */
  seen(rows: readonly ReadRow[]): readonly ReadRow[];
}

const front = '0';

/**
 * While a backlog is carried off, each read goes on where the last one ended: at the front of the index stand the
 * entries of rows published before, which stay until nobody's snapshot can see them, and every read from the front
 * passes them all. Once nothing is in flight the next read begins at the front, and every sixteenth does so in any
 * case. None begins elsewhere while a row has failed: those held back behind it come free in front of where the reads
 * have got to, and the later ones of their stream must not be found first.
 */
export function createPlaces(): Places {
  let after = front;
  let reads = 0;

  return {
    next({ inFlight }) {
      reads += 1;
      if (inFlight.length === 0 || reads % readsBetweenFronts === 0) after = front;
      return after;
    },
    seen(rows) {
      // They are in the order of their ids; where there are none, the one row that says so has no id.
      const last = rows.at(-1)?.id ?? front;
      if (rows[0]?.failing) after = front;
      else if (BigInt(last) > BigInt(after)) after = last;
      return rows;
    },
  };
}
