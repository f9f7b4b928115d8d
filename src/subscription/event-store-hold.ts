import type { TransactionSql } from 'postgres';
import type { Advance, Positions } from '../event-store/positions.ts';
import type { Receipts } from '../handler/unit-of-work.ts';
import { UnavailableError } from '../runtime/errors.ts';
import type { Track } from './event-store-track.ts';

/** The hold of one owner on the position of a subscription: what it writes, and that it may no longer. */
export interface Hold extends Receipts {
  /** Whether another owner has claimed the subscription. */
  readonly lost: boolean;
  /** Handled, and to be written down with the next `save`, unless a handler's transaction has done so. */
  done(position: bigint): void;
  /** How many are yet to be written down. */
  readonly unsaved: number;
  /** Writes everything down; false when another owner has the subscription. */
  save(change?: Partial<Pick<Advance, 'failed' | 'mended'>>): Promise<boolean>;
  /** Whether the transaction of a handler has written it down. Forgets it. */
  takeRecorded(position: bigint): boolean;
  start(position: bigint): Promise<boolean>;
  release(): Promise<void>;
}

export interface HoldDeps {
  readonly positions: Positions;
  readonly subscription: string;
  readonly token: bigint;
  readonly track: Track;
  /** Whether the message has failed before: then it is mended, not passed. */
  readonly hasFailed: (position: bigint) => boolean;
  /** Told once, when another owner has claimed the subscription. */
  readonly onLost: () => void;
}

export const fenced = (subscription: string): UnavailableError =>
  new UnavailableError('fenced', `${subscription} has another owner by now: what this one did is not written`);

export function createHold({ positions, subscription, token, track, hasFailed, onLost }: HoldDeps): Hold {
  const unsaved = new Set<bigint>();
  const recorded = new Set<bigint>();
  let lost = false;

  function noted(ours: boolean): boolean {
    if (!ours && !lost) {
      lost = true;
      onLost();
    }
    return ours;
  }

  return {
    get lost() {
      return lost;
    },
    get unsaved() {
      return unsaved.size;
    },
    done: (position) => void unsaved.add(position),
    async save({ failed = [], mended = [] } = {}) {
      if (lost) return false;
      const done = [...unsaved];
      const ours = await positions.advance(subscription, token, { position: track.position, done, failed, mended });
      if (ours) for (const position of done) unsaved.delete(position);
      return noted(ours);
    },
    takeRecorded: (position) => recorded.delete(position),
    start: async (position) => noted(await positions.start(subscription, token, position)),
    release: () => positions.release(subscription, token),
    async fresh(entryIds) {
      const progress = await positions.look(subscription);
      const known = new Set(progress?.ahead);
      const failed = new Set(progress?.failed);
      return entryIds.map(BigInt).map((each) => {
        if (hasFailed(each)) return failed.has(each);
        return progress === null || (each > progress.position && !known.has(each));
      });
    },
    async record(sql: TransactionSql | null, entryIds) {
      const all = entryIds.map(BigInt);
      const outcome = await positions.record(sql, subscription, token, {
        position: track.after(new Set(all)),
        done: all.filter((each) => !hasFailed(each)),
        mended: all.filter(hasFailed),
      });
      if (outcome === 'fenced') {
        noted(false);
        throw fenced(subscription);
      }
      if (outcome === 'recorded') for (const each of all) recorded.add(each);
      return outcome;
    },
  };
}
