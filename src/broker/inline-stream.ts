import type { Clock, Millis } from '../runtime/clock.ts';
import type { AttemptRecord } from './broker.ts';

export interface InlineEntry {
  /** `<ms>-<n>`, growing, as in Redis. */
  readonly id: string;
  readonly body: string;
  readonly addedAt: Millis;
}

/** An entry that was delivered and not acknowledged. */
export interface InlinePending {
  readonly entry: InlineEntry;
  readonly stream: string;
  consumer: string;
  /** Monotonic: when it was delivered or last heard of. */
  touchedAt: Millis;
  /** Deliveries that count against whoever had it: none of one that was given back. */
  deliveries: number;
}

/** One group's place on one stream, and what it knows of the entries that it has not finished. In the order of the ids. */
export interface InlineGroup {
  next: number;
  readonly pending: Map<string, InlinePending>;
  readonly histories: Map<string, readonly AttemptRecord[]>;
  readonly crashes: Map<string, number>;
}

export interface InlineStream {
  readonly entries: readonly InlineEntry[];
  /** Removes the oldest entries beyond the newest `keep` that every group has finished; how many. */
  trim(keep: number): number;
  /** Removes the entries that were added before `at`, at most `limit`; how many. */
  expire(at: Millis, limit: number): number;
  append(body: string): string;
  /** The group, made at the beginning of the stream where it does not exist. */
  group(name: string): InlineGroup;
  /** The group, or null where it does not exist. */
  existing(name: string): InlineGroup | null;
}

export function createInlineStream(clock: Clock): InlineStream {
  const entries: InlineEntry[] = [];
  const groups = new Map<string, InlineGroup>();
  /** Where the entries begin that a group has not finished. What is pending stands in the order of the ids. */
  function firstNeeded({ next, pending }: InlineGroup): number {
    const [oldest] = pending.values();
    return oldest === undefined ? next : entries.indexOf(oldest.entry);
  }
  let lastMs = 0;
  let sequence = 0;
  return {
    entries,
    append(body) {
      const addedAt = clock.now();
      sequence = addedAt > lastMs ? 0 : sequence + 1;
      lastMs = Math.max(lastMs, addedAt);
      const id = `${lastMs}-${sequence}`;
      entries.push({ id, body, addedAt });
      return id;
    },
    trim(keep) {
      const finished = Math.min(...[...groups.values()].map(firstNeeded), groups.size === 0 ? 0 : entries.length);
      const removed = Math.max(0, Math.min(finished, entries.length - keep));
      entries.splice(0, removed);
      for (const group of groups.values()) group.next -= removed;
      return removed;
    },
    expire(at, limit) {
      const old = entries.findIndex(({ addedAt }) => addedAt >= at);
      const removed = Math.min(old === -1 ? entries.length : old, limit);
      for (const { id } of entries.splice(0, removed)) for (const group of groups.values()) forget(group, id);
      for (const group of groups.values()) group.next = Math.max(0, group.next - removed);
      return removed;
    },
    group(name) {
      const group = groups.get(name) ?? { next: 0, pending: new Map(), histories: new Map(), crashes: new Map() };
      groups.set(name, group);
      return group;
    },
    existing: (name) => groups.get(name) ?? null,
  };
}

/** Acknowledges an entry: nothing more is known of it. */
export function forget({ pending, histories, crashes }: InlineGroup, id: string): void {
  pending.delete(id);
  histories.delete(id);
  crashes.delete(id);
}
