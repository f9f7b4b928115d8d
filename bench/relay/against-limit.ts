import type { Bench } from '../harness/bench.ts';
import { prepareRows } from '../harness/messages.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import { daemonRelay, handWrittenRelay } from './relay-runs.ts';

/** The relay against a program that does nothing but the three statements. */
export const againstLimit: Bench = {
  name: 'limit',
  async run(place) {
    const { options, sql, progress } = place;
    await prepareRows(sql, options.rows);
    const rivals = [
      { ...handWrittenRelay(place, options.rows, 'sequential'), target: 0.8 },
      { ...handWrittenRelay(place, options.rows, 'overlapped'), target: null },
    ];
    return sideBySide('relay limit', daemonRelay(place, options.rows), rivals, options.rounds, progress);
  },
};
