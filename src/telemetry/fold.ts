import type { Millis } from '../runtime/clock.ts';

/** Repeats that were held back in one window: the last of them stands for all. */
export interface Folded<Fact> {
  readonly last: Fact;
  readonly count: number;
}

/** Says the first of a kind at once, and its repeats once a window. Knows no clock: every instant is given. */
export interface Fold<Fact> {
  /** Whether `fact` is to be said now. Otherwise it is counted, and comes out of `due` when the window ends. */
  admit(key: string, fact: Fact, now: Millis): boolean;
  /** What was held back in the windows that have ended. A window that held something back opens anew. */
  due(now: Millis): readonly Folded<Fact>[];
  /** Ends every window, and gives what they held back. */
  end(): readonly Folded<Fact>[];
  /** When the next window ends; null where none is open. */
  nextAt(): Millis | null;
}

interface Window<Fact> {
  readonly endsAt: Millis;
  last: Fact;
  count: number;
}

/** At most `maxKeys` kinds are told apart at a time; the kinds beyond share one window. */
export function createFold<Fact>(windowMs: Millis, maxKeys: number): Fold<Fact> {
  /** All windows are of one length and a renewed one goes to the end, so the first is always the next to end. */
  const windows = new Map<string, Window<Fact>>();

  const open = (key: string, last: Fact, now: Millis) => {
    windows.delete(key);
    windows.set(key, { endsAt: now + windowMs, last, count: 0 });
  };
  const forgetEnded = (now: Millis) => {
    for (const [key, { endsAt, count }] of windows) {
      if (endsAt > now) return;
      if (count === 0) windows.delete(key);
    }
  };
  const toldApart = (key: string) => (windows.has(key) || windows.size < maxKeys ? key : 'others');

  return {
    admit(wanted, fact, now) {
      forgetEnded(now);
      const key = toldApart(wanted);
      const window = windows.get(key);
      if (window === undefined) {
        open(key, fact, now);
        return true;
      }
      window.last = fact;
      window.count += 1;
      return false;
    },
    due(now) {
      const ended = [...windows].filter(([, { endsAt }]) => endsAt <= now);
      for (const [key, { last, count }] of ended) {
        if (count > 0) open(key, last, now);
        else windows.delete(key);
      }
      return ended.map(([, { last, count }]) => ({ last, count })).filter(({ count }) => count > 0);
    },
    end() {
      const held = [...windows.values()].filter(({ count }) => count > 0);
      windows.clear();
      return held.map(({ last, count }) => ({ last, count }));
    },
    nextAt() {
      for (const { endsAt } of windows.values()) return endsAt;
      return null;
    },
  };
}
