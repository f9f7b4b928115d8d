import type { Clock, Millis } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { EventStore, Horizon, StoredMessage, Writer } from './event-store.ts';
import { everything } from './event-store.ts';

export interface GapReaderConfig {
  /** Or `everything`. */
  readonly category: string;
  /** How long a gap is waited for where the store does not tell who may still fill it. */
  readonly gapTimeoutMs: Millis;
}

/** A wait for transactions that have drawn a position and not committed. */
export interface GapWait {
  /** The first position that may still appear. */
  readonly position: bigint;
  /** The oldest of those that are waited for; null where the store does not tell. */
  readonly writer: Writer | null;
  readonly waitedMs: Millis;
}

export interface GapReaderDeps {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Told at each read that has to wait, and with null when the wait is over. */
  readonly onWait: (wait: GapWait | null) => void;
  /** Told of the positions that were waited for in vain: what may still be committed there is missed. */
  readonly onGivenUp: (positions: readonly bigint[]) => void;
}

export interface Read {
  readonly messages: readonly StoredMessage[];
  /** Where to read on: everything before it was seen, and nothing more will appear there. */
  readonly next: bigint;
}

interface Watch {
  readonly head: bigint;
  /** Null: not known, only time can tell. */
  writers: readonly Writer[] | null;
  readonly since: Millis;
}

/**
 * Reads on without a gap, by the store's promise (see Horizon). A position is drawn before its transaction commits, so a
 * message may appear below one that was read: what lies beyond the first position that may be such is held back until all
 * who could still commit there are over. Transactions that are known to run are waited for as long as they run. Where the
 * store does not tell, a gap between positions is waited for as long as the timeout, and then given up.
 */
export function createGapReader(config: GapReaderConfig, deps: GapReaderDeps) {
  const { category, gapTimeoutMs } = config;
  const { store, clock, onWait, onGivenUp } = deps;
  /** Nothing more will appear at or below it. */
  let settled = 0n;
  let watch: Watch | null = null;
  let waiting = false;

  /** Null where the store may not tell: its rights are others than it should have. */
  async function horizon(): Promise<Horizon | null> {
    try {
      return await store.horizon(category);
    } catch (error) {
      if (error instanceof MisconfiguredError) return null;
      throw error;
    }
  }

  async function look(last: bigint): Promise<Watch> {
    if (watch === null) {
      const found = await horizon();
      return { head: found?.head ?? last, writers: found?.writers ?? null, since: clock.monotonic() };
    }
    if (watch.writers !== null) watch.writers = await store.running(watch.writers);
    return watch;
  }

  const isOver = ({ writers, since }: Watch): boolean =>
    writers === null ? category !== everything || clock.monotonic() - since >= gapTimeoutMs : writers.length === 0;

  function wait(watching: Watch, position: bigint): void {
    waiting = true;
    const { writers, since } = watching;
    onWait({ position, writer: oldest(writers ?? []), waitedMs: clock.monotonic() - since });
  }

  function endWait(): void {
    if (waiting) onWait(null);
    waiting = false;
  }

  return async function read(from: bigint, limit: number): Promise<Read> {
    const page = await store.readCategory(category, from, limit);
    const last = page.at(-1)?.globalPosition;
    if (last === undefined) return { messages: page, next: from };
    const whole = { messages: page, next: last + 1n };
    if (last <= settled) return whole;
    const without = category === everything ? firstMissing(page, from) : from;
    if (without > last) {
      settled = last;
      if (watch !== null && watch.head <= settled) watch = null;
      if (watch === null) endWait();
      return whole;
    }
    watch = await look(last);
    if (!isOver(watch)) {
      const limitAt = settled >= without ? settled + 1n : without;
      wait(watch, limitAt);
      const messages = page.filter(({ globalPosition }) => globalPosition < limitAt);
      return { messages, next: larger(from, (messages.at(-1)?.globalPosition ?? from - 1n) + 1n) };
    }
    const { head, writers } = watch;
    watch = null;
    settled = larger(settled, head);
    endWait();
    const again = (await store.readCategory(category, from, limit)).filter((each) => each.globalPosition <= settled);
    if (writers === null && category === everything) giveUp(again, from, onGivenUp);
    return { messages: again, next: larger(from, (again.at(-1)?.globalPosition ?? from - 1n) + 1n) };
  };
}

/** The first position from `from` on that has no message; the one behind the last where there is no gap. */
function firstMissing(page: readonly StoredMessage[], from: bigint): bigint {
  let expected = larger(from, 1n);
  for (const { globalPosition } of page) {
    if (globalPosition !== expected) break;
    expected += 1n;
  }
  return expected;
}

function giveUp(page: readonly StoredMessage[], from: bigint, tell: GapReaderDeps['onGivenUp']): void {
  const missing: bigint[] = [];
  let expected = larger(from, 1n);
  for (const { globalPosition } of page) {
    for (; expected < globalPosition && missing.length < maxTold; expected += 1n) missing.push(expected);
    expected = globalPosition + 1n;
  }
  if (missing.length > 0) tell(missing);
}

/** A gap may be as long as a sequence that was set by hand. */
const maxTold = 1_000;

const oldest = (writers: readonly Writer[]): Writer | null =>
  writers.reduce<Writer | null>(
    (first, each) => (first === null || (each.ageMs ?? 0) > (first.ageMs ?? 0) ? each : first),
    null,
  );

const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other);
