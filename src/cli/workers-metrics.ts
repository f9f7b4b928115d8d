import type { Asker } from '../telemetry/asker.ts';
import type { Answer } from '../telemetry/http-server.ts';
import type { Families } from '../telemetry/merge-metrics.ts';
import { countsIn, mergeMetrics, readMetrics, writeMetrics } from '../telemetry/merge-metrics.ts';
import type { TallyOptions } from '../telemetry/tally.ts';
import { createCounter } from '../telemetry/tally.ts';

/** A process that counts. */
export interface Counting {
  readonly number: number;
  readonly restarts: number;
  /** Null while there is nobody to ask. */
  readonly asker: Asker | null;
}

export interface WorkersMetrics {
  /** The metrics of all as those of one. The stores are looked at by one of them. */
  answer(all: readonly Counting[]): Promise<Answer>;
  /** What it has counted stays. */
  ended(number: number): void;
}

/** Counted by the process that runs the others. */
export const workerRestarts: TallyOptions = {
  name: 'domaind_worker_restarts_total',
  help: 'Worker processes of `--workers` that ended and were started again.',
  labels: ['worker'],
};

const linesNotPassedOn: TallyOptions = {
  name: 'domaind_log_lines_dropped_total',
  help: 'Log lines that could not be written.',
  labels: [],
};

function countOf(options: TallyOptions, value: number): Families {
  const counter = createCounter(options);
  counter.child().value = value;
  return readMetrics(counter.render());
}

const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Puts the metrics of worker processes together: counts never fall, whichever of them ends or does not answer.
 * `linesDropped` is how many lines of theirs could not be passed on.
 */
export function createWorkersMetrics(linesDropped: () => number): WorkersMetrics {
  const latest = new Map<number, Families>();
  let retired: Families = new Map();

  return {
    async answer(all) {
      const lookout = all.find(({ asker }) => asker !== null)?.number;
      await Promise.all(
        all.map(async ({ number, asker }) => {
          const answer = await asker?.ask('/metrics', number === lookout);
          if (answer?.status === 200) latest.set(number, readMetrics(answer.body));
        }),
      );
      const restarts = createCounter(workerRestarts);
      for (const { number, restarts: count } of all) restarts.child(String(number)).value = count;
      const merged = mergeMetrics([retired, ...latest.values(), countOf(linesNotPassedOn, linesDropped())]);
      const body = `${writeMetrics(merged)}\n${restarts.render()}`;
      return { status: 200, body, contentType };
    },
    ended(number) {
      const counts = countsIn(latest.get(number) ?? new Map());
      latest.delete(number);
      retired = mergeMetrics([retired, counts]);
    },
  };
}
