import type { Clock, Millis } from '../runtime/clock.ts';

export interface SnapshotDeps<Facts> {
  readonly collect: () => Promise<Facts>;
  readonly clock: Clock;
  /** Told of each `collect` that failed. */
  readonly onError: (error: unknown) => void;
}

export interface SnapshotTimes {
  /** Facts are looked up again when older than this, and not more often. */
  readonly refreshMs: Millis;
  /** Readers wait for the new ones until so long after they were asked for. */
  readonly waitMs: Millis;
  /** Facts older than this are no longer given out: better none than false ones. */
  readonly staleMs: Millis;
}

/** Facts that are dear to look up, kept for a while. The function it gives never rejects; null where nothing is known. */
export function createSnapshot<Facts>(times: SnapshotTimes, deps: SnapshotDeps<Facts>): () => Promise<Facts | null> {
  const { refreshMs, waitMs, staleMs } = times;
  const { collect, clock, onError } = deps;
  let latest: { readonly facts: Facts; readonly at: Millis } | null = null;
  let askedAt = Number.NEGATIVE_INFINITY;
  let underWay: Promise<void> | null = null;

  const refresh = (at: Millis) =>
    collect()
      .then(
        (facts) => {
          latest = { facts, at };
        },
        (error: unknown) => onError(error),
      )
      .finally(() => {
        underWay = null;
      });

  return async () => {
    const now = clock.monotonic();
    if (underWay === null && now - askedAt >= refreshMs) {
      askedAt = now;
      underWay = refresh(now);
    }
    const waitLeftMs = askedAt + waitMs - now;
    if (underWay !== null && waitLeftMs > 0) {
      const waited = new AbortController();
      await Promise.race([underWay, clock.sleep(waitLeftMs, waited.signal)]);
      waited.abort();
    }
    return latest !== null && clock.monotonic() - latest.at < staleMs ? latest.facts : null;
  };
}
