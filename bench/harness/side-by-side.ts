import type { Outcome } from './outcome.ts';
import { atLeast, median, rateText, ratioText } from './outcome.ts';
import type { Steady } from './steady-rate.ts';

/** Something that can be measured again and again, each time from the same beginning. */
export interface Contender {
  readonly name: string;
  readonly measure: () => Promise<Steady>;
}

export interface Rival extends Contender {
  /** How many times as fast we must be; null where no target is set. */
  readonly target: number | null;
}

export type Progress = (line: string) => void;

/**
 * Measures ours and every rival in turn, A B C A B C, and compares within each round: what drifts on the machine drifts
 * for all. The figure is the median of the rounds' ratios.
 */
export async function sideBySide(
  bench: string,
  ours: Contender,
  rivals: readonly Rival[],
  rounds: number,
  progress: Progress,
): Promise<readonly Outcome[]> {
  const all = [ours, ...rivals];
  const measured = new Map<Contender, Steady[]>(all.map((each) => [each, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const each of all) {
      const steady = await each.measure();
      measured.get(each)?.push(steady);
      progress(`${bench} ${round}/${rounds} ${each.name}: ${typical([steady])}`);
    }
  }
  const of = (each: Contender) => measured.get(each) ?? [];
  return rivals.map((rival) => {
    const ratios = of(rival).map(({ perSecond }, round) => (of(ours)[round]?.perSecond ?? 0) / perSecond);
    const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
    const detail = `${ours.name} ${typical(of(ours))} · ${rival.name} ${typical(of(rival))} · ${ratioText(least)}…${ratioText(most)} of ${rounds}`;
    return atLeast(rival.target, median(ratios), { bench, what: `${ours.name} / ${rival.name}`, detail });
  });
}

function typical(runs: readonly Steady[]): string {
  const rate = rateText(median(runs.map(({ perSecond }) => perSecond)));
  const cpu = runs.flatMap(({ cpuUs }) => (cpuUs === null ? [] : [cpuUs]));
  return cpu.length === 0 ? rate : `${rate} (${median(cpu).toFixed(1)} µs CPU)`;
}
