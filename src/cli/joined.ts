import type { Emit } from '../telemetry/event.ts';
import type { PlanRow } from '../worker/plan.ts';

/** How many groups are joined: that of each handler, for its partitions once more, and each category of the event store. */
export const joinsIn = (plan: readonly PlanRow[]): number =>
  plan.reduce((sum, { settings, streams, partitions }) => {
    if (settings.type === 'event_store') return sum + streams.length;
    return sum + (partitions === null ? 1 : 2);
  }, 0);

/** Resolves when so many subscriptions have joined their groups, or stand by: from then on nothing that is sent is missed. */
export function countJoined(): { readonly emit: Emit; reached(count: number): Promise<void> } {
  let joined = 0;
  let waiting: { readonly count: number; readonly resolve: () => void } | null = null;
  const standing = new Set<string>();
  return {
    emit(fact) {
      if (fact.event !== 'subscription.started' && fact.event !== 'subscription.standing_by') return;
      const key = `${fact.subscription} ${fact.stream}`;
      if (standing.has(key)) return;
      if (fact.event === 'subscription.standing_by') standing.add(key);
      joined += 1;
      if (waiting !== null && joined >= waiting.count) waiting.resolve();
    },
    reached: (count) =>
      joined >= count
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting = { count, resolve };
          }),
  };
}
