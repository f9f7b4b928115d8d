import type { Partitions } from '../broker/partition.ts';

/** The keys there are, as far as this process knows. */
export interface KnownKeys {
  readonly size: number;
  has(key: string): boolean;
  add(key: string): void;
  delete(key: string): void;
  all(): string[];
  /** One page of the index; at first, all of them. True when the last page was reached: what was not on any is gone. */
  look(): Promise<boolean>;
}

/** Page by page and again and again, so that 10,000 keys cost no more at a time than 1,000. */
export function createKnownKeys(partitions: Pick<Partitions, 'keys'>): KnownKeys {
  let known = new Set<string>();
  let seen = new Set<string>();
  let cursor: string | null = null;
  let complete = false;
  return {
    get size() {
      return known.size;
    },
    has: (key) => known.has(key),
    add(key) {
      known.add(key);
      seen.add(key);
    },
    delete(key) {
      known.delete(key);
      seen.delete(key);
    },
    all: () => [...known],
    async look() {
      for (;;) {
        const page = await partitions.keys(cursor);
        for (const key of page.keys) {
          seen.add(key);
          known.add(key);
        }
        cursor = page.next;
        if (cursor === null) {
          known = seen;
          seen = new Set();
          complete = true;
          return true;
        }
        if (complete) return false;
      }
    },
  };
}
