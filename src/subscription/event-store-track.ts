/** Which positions are in hand, and up to where nothing is. */
export interface Track {
  /** Where to read on. */
  readonly next: bigint;
  /** Everything up to it is handled or passed over. */
  readonly position: bigint;
  /** What `position` will be once these are done, too. */
  after(done: ReadonlySet<bigint>): bigint;
  /** How many are in hand. */
  readonly open: number;
  /** How many were handed out since the oldest in hand: what would come again, were nothing more written down. */
  readonly span: number;
  /** In ascending order. */
  hand(position: bigint): void;
  has(position: bigint): boolean;
  done(position: bigint): void;
  /** Everything before `next` was seen. */
  readTo(next: bigint): void;
}

/** Begins behind `position`. */
export function createTrack(position: bigint): Track {
  /** In the order in which they were handed out, which is that of the positions: the first is the lowest. */
  const open = new Map<bigint, number>();
  let next = position + 1n;
  let serial = 0;
  return {
    get next() {
      return next;
    },
    get position() {
      for (const lowest of open.keys()) return lowest - 1n;
      return next - 1n;
    },
    after(done) {
      for (const lowest of open.keys()) if (!done.has(lowest)) return lowest - 1n;
      return next - 1n;
    },
    get open() {
      return open.size;
    },
    get span() {
      for (const first of open.values()) return serial - first;
      return 0;
    },
    hand(at) {
      open.set(at, serial);
      serial += 1;
    },
    has: (at) => open.has(at),
    done: (at) => void open.delete(at),
    readTo(to) {
      if (to > next) next = to;
    },
  };
}
