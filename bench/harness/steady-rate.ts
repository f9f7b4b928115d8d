import { setTimeout as delay } from 'node:timers/promises';

export interface Steady {
  readonly perSecond: number;
  /** CPU that the measured process used for each, in µs; null where nobody counted it. */
  readonly cpuUs: number | null;
}

interface Sample {
  readonly atMs: number;
  readonly count: number;
  readonly cpu: number;
}

/** Which counts are measured between. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** Between 10 % and 95 %: neither the start nor the end is in it. */
export const middle = (total: number): Window => ({ from: total * 0.1, to: total * 0.95 });

const sampleEveryMs = 15;
/** Without any progress for so long, the bench gives up. */
const patienceMs = 60_000;

/**
 * How fast `count` grows within the window. `cpu` tells the CPU seconds of the measured process. Rejects when nothing
 * moves for a minute, or when `broke` does.
 */
export async function steadyRate(
  { from, to }: Window,
  count: () => Promise<number>,
  cpu: () => number,
  broke: Promise<never>,
): Promise<Steady> {
  const samples: Sample[] = [];
  let movedAt = performance.now();
  for (;;) {
    const now = await Promise.race([count(), broke]);
    const atMs = performance.now();
    if (now !== samples.at(-1)?.count) movedAt = atMs;
    else if (atMs - movedAt > patienceMs)
      throw new Error(`stuck at ${now} on the way to ${to} for ${patienceMs / 1_000} s`);
    samples.push({ atMs, count: now, cpu: cpu() });
    if (now >= to) break;
    await delay(sampleEveryMs);
  }
  const first = crossing(samples, from);
  const last = crossing(samples, to);
  const counted = last.count - first.count;
  return {
    perSecond: (counted * 1_000) / (last.atMs - first.atMs),
    cpuUs: ((last.cpu - first.cpu) * 1_000_000) / counted,
  };
}

/** Where the samples cross `count`, on the line between the two around it. */
function crossing(samples: readonly Sample[], count: number): Sample {
  const index = samples.findIndex((sample) => sample.count >= count);
  const after = samples[index];
  if (after === undefined) throw new TypeError('the samples end before the crossing');
  const before = samples[index - 1] ?? after;
  const share = after.count === before.count ? 1 : (count - before.count) / (after.count - before.count);
  return {
    count,
    atMs: before.atMs + share * (after.atMs - before.atMs),
    cpu: before.cpu + share * (after.cpu - before.cpu),
  };
}
