import type { Broker, GroupState } from '../broker/broker.ts';
import type { DeadLetterRecords } from '../event-store/dead-letter-records.ts';
import { createDeadLetterRecords } from '../event-store/dead-letter-records.ts';
import type { EventStore } from '../event-store/event-store.ts';
import { factsIn, toPosition } from '../event-store/failures.ts';
import type { Positions } from '../event-store/positions.ts';
import { failedStream, positionStream } from '../message/stream-name.ts';
import { subscriptionKey } from './event-store-source.ts';

export interface StandingDeps {
  readonly store: EventStore;
  readonly positions: Positions;
}

/** More messages than this are not counted: it is far behind then, however far. */
export const countedAtMost = 10_000;

/** Up to where a subscription has come; -1 where it has not begun, or has only told so elsewhere. */
export async function positionOf(group: string, category: string, { store, positions }: StandingDeps): Promise<bigint> {
  const progress = await positions.look(subscriptionKey(group, category));
  if (progress !== null) return progress.position;
  const told = await store.lastMessage(positionStream(group, category));
  return told === null ? -1n : (toPosition(factsIn(told.dataText)['position']) ?? -1n);
}

/** How a subscription of the event store stands, in the terms of a group on a stream. */
export async function standingOf(group: string, category: string, deps: StandingDeps): Promise<GroupState> {
  const progress = await deps.positions.look(subscriptionKey(group, category));
  const position = progress?.position ?? (await positionOf(group, category, deps));
  const { count, oldestMs } = await deps.store.behind(category, position, countedAtMost);
  const ahead = Math.min(count, progress?.ahead.length ?? 0);
  return {
    lag: count - ahead,
    lagMs: count === ahead ? 0 : oldestMs,
    pending: progress?.failed.length ?? 0,
    oldestPendingMs: null,
  };
}

/** The subscriptions of one group as the monitor asks after those of a broker. The dead letters are those of its own. */
export function createStandings(group: string, deps: StandingDeps): Pick<Broker, 'inspect' | 'length'> {
  const records = new Map<string, DeadLetterRecords>();
  return {
    inspect: (category, of) => standingOf(of, category, deps),
    async length(deadLetters) {
      const category = deadLetters.replace(/:dlq$/, '');
      const known = records.get(category) ?? createDeadLetterRecords(failedStream(group, category), deps.store);
      records.set(category, known);
      await known.read();
      return known.letters.size;
    },
  };
}
