/** One line of the table at the end. */
export interface Outcome {
  readonly bench: string;
  /** What was measured, or against whom. */
  readonly what: string;
  /** The figure that counts: a ratio, a time, a share. */
  readonly figure: string;
  /** What makes it up: absolute figures, spread. They hold for this machine and this hour only. */
  readonly detail: string;
  /** In the words of the figure; empty where none was set. */
  readonly target: string;
  readonly met: boolean | null;
}

export const ratioText = (ratio: number): string => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2));

export const rateText = (perSecond: number): string => `${Math.round(perSecond).toLocaleString('en')}/s`;

export const msText = (ms: number): string => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

/** An outcome whose figure must be at least `least`; null where there is no target. */
export function atLeast(
  least: number | null,
  figure: number,
  about: Pick<Outcome, 'bench' | 'what' | 'detail'>,
): Outcome {
  const target = least === null ? '' : `≥ ${least}`;
  return { ...about, figure: ratioText(figure), target, met: least === null ? null : figure >= least };
}

/** An outcome whose figure must be at most `most`. */
export function atMost(
  most: number,
  figure: number,
  text: (figure: number) => string,
  about: Pick<Outcome, 'bench' | 'what' | 'detail'>,
): Outcome {
  return { ...about, figure: text(figure), target: `≤ ${text(most)}`, met: figure <= most };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** By the nearest rank, with the mean of the two in the middle for an even median. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new TypeError('no values to take a quantile of');
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)] ?? 0, sorted[Math.ceil(place)] ?? 0];
  return low + (high - low) * (place - Math.floor(place));
}
