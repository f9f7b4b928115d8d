import type { Positions, Progress } from './positions.ts';

interface Kept extends Progress {
  readonly token: bigint;
}

/** Positions inside the process, for databases of provider `memory`: gone with it, by the same rules as in PostgreSQL. */
export function createMemoryPositions(): Positions {
  const kept = new Map<string, Kept>();
  const owned = (subscription: string, token: bigint): Kept | null => {
    const found = kept.get(subscription);
    return found?.token === token ? found : null;
  };

  /** `over`: what was begun of them has ended. False: nothing is written, since the token does not count any more. */
  function write(
    subscription: string,
    token: bigint,
    over: readonly bigint[],
    change: (found: Kept) => Partial<Progress>,
  ): boolean {
    const found = owned(subscription, token);
    if (found === null) return false;
    const next = { ...found, ...change(found) };
    const ahead = sorted(next.ahead.filter((each) => each > next.position));
    const mayCome = (each: bigint) => each > next.position || next.failed.includes(each);
    const started = new Map([...next.started].filter(([each]) => mayCome(each) && !over.includes(each)));
    kept.set(subscription, { ...next, ahead, started });
    return true;
  }

  return {
    async claim(subscription, token, first) {
      const found = kept.get(subscription);
      if (found !== undefined && found.token > token) return null;
      const progress = found ?? { ...first, failed: sorted(first.failed), ahead: [], started: new Map(), clean: true };
      kept.set(subscription, { ...progress, token, clean: false });
      return progress;
    },
    advance: async (subscription, token, { position, done, failed, mended }) =>
      write(subscription, token, [...done, ...failed, ...mended], (found) => ({
        position: larger(found.position, position),
        ahead: [...found.ahead, ...done, ...failed],
        failed: sorted([...found.failed, ...failed].filter((each) => !mended.includes(each))),
      })),
    start: async (subscription, token, position) =>
      write(subscription, token, [], ({ started }) => ({
        started: new Map(started).set(position, (started.get(position) ?? 0) + 1),
      })),
    async release(subscription, token) {
      write(subscription, token, [], () => ({ clean: true }));
    },
    async record(_sql, subscription, token, { position, done, mended }) {
      const found = owned(subscription, token);
      if (found === null) return 'fenced';
      const known = done.some((each) => each <= found.position || found.ahead.includes(each));
      if (known || mended.some((each) => !found.failed.includes(each))) return 'duplicate';
      write(subscription, token, [...done, ...mended], () => ({
        position: larger(found.position, position),
        ahead: [...found.ahead, ...done],
        failed: found.failed.filter((each) => !mended.includes(each)),
      }));
      return 'recorded';
    },
    look: async (subscription) => kept.get(subscription) ?? null,
    async reset(_sql, subscription, token, position) {
      kept.set(subscription, { token, position, ahead: [], failed: [], started: new Map(), clean: true });
    },
  };
}

const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other);

const sorted = (positions: readonly bigint[]): readonly bigint[] =>
  [...new Set(positions)].sort((one, other) => (one < other ? -1 : 1));
