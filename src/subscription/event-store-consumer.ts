import type { Consumer, Delivery, Settlement } from '../broker/broker.ts';
import type { EventStore, StoredMessage } from '../event-store/event-store.ts';
import type { FailedMessage, Failures } from '../event-store/failures.ts';
import type { Read } from '../event-store/gap-reader.ts';
import type { Progress } from '../event-store/positions.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { firstTime, handedOut, toDelivery } from './event-store-delivery.ts';
import type { Hold } from './event-store-hold.ts';
import { fenced } from './event-store-hold.ts';
import type { Settling } from './event-store-settling.ts';
import type { Track } from './event-store-track.ts';

export interface EventStoreConsumerConfig {
  readonly group: string;
  readonly name: string;
  /** Or `$all`. */
  readonly category: string;
  readonly originStream: string | null;
  readonly positionUpdateInterval: number;
  /** Messages that failed under an earlier owner are taken up so long after; null: they are not. */
  readonly recoverEveryMs: Millis | null;
  /** As many may have been in an owner's hand when it died. */
  readonly suspects: number;
}

export interface EventStoreConsumerDeps {
  readonly store: EventStore;
  readonly clock: Clock;
  /** As it was claimed. */
  readonly progress: Progress;
  readonly track: Track;
  readonly hold: Hold;
  readonly failures: Failures;
  readonly settling: Settling;
  readonly read: (from: bigint, limit: number) => Promise<Read>;
}

/** A wait between reads that find nothing: from the first to the second, doubling. */
const restless: Millis = 10;
const longestRest: Millis = 500;
const saveEveryMs: Millis = 1_000;
/** Reading pauses when so many were handed out since the oldest that is still in hand; more where batches are larger. */
const longestSpan = 2_000;

/**
 * A category of the event store, or all of it, as something to consume: what the loop of every subscription reads from.
 * There is one owner at a time. Its position moves as messages are settled; those that fail are passed over, written down,
 * and come again. What an owner may have died of comes one at a time to the next.
 */
export function createEventStoreConsumer(config: EventStoreConsumerConfig, deps: EventStoreConsumerDeps): Consumer {
  const { group, name, category, originStream, positionUpdateInterval, recoverEveryMs } = config;
  const { store, clock, progress, track, hold, failures, settling, read } = deps;
  const ahead = new Set(progress.ahead);
  const given = new Set<bigint>();
  /** Monotonic: since when failures that nobody waits for here are known. */
  const knownSince = new Map<bigint, Millis>();
  /** Failures that the last owner may have died of, trying again. */
  const inherited = new Set(progress.clean ? [] : failures.open.keys());
  let restMs = restless;
  let savedAt = clock.monotonic();
  let suspects = progress.clean ? 0 : config.suspects;
  let underSuspicion = false;

  /** Not behind one that may kill the process, nor too far ahead of one that takes its time. */
  function mayRead(count: number): boolean {
    if (suspects > 0 || (underSuspicion && track.open > 0)) return false;
    underSuspicion = false;
    return track.span < Math.max(longestSpan, 4 * count);
  }

  const crashesOf = (position: bigint): number => progress.started.get(position) ?? 0;

  function owned(): void {
    if (hold.lost) throw fenced(`${group} on ${category}`);
  }

  async function saveIfDue(): Promise<void> {
    const late = clock.monotonic() - savedAt >= saveEveryMs && (hold.unsaved > 0 || settling.untold > 0);
    if (hold.unsaved < positionUpdateInterval && settling.untold < positionUpdateInterval && !late) return;
    savedAt = clock.monotonic();
    await settling.save();
    owned();
  }

  /** What is to be handed out of a page; the rest is passed over. */
  function taken({ messages, next }: Read, suspect: boolean): readonly Delivery[] {
    const deliveries: Delivery[] = [];
    for (const message of messages) {
      const { globalPosition: position } = message;
      const passed = ahead.delete(position) || failures.open.has(position);
      const body = passed ? null : handedOut(message, originStream);
      if (body === null) continue;
      track.hand(position);
      const again = suspect ? { failed: null, suspect, crashes: crashesOf(position) } : firstTime;
      deliveries.push(toDelivery(category, position, body, again));
    }
    track.readTo(next);
    return deliveries;
  }

  async function storedAt(position: bigint, failed: FailedMessage | null): Promise<StoredMessage | null> {
    const { stream = null, streamPosition = null } = failed ?? {};
    const [found] =
      stream !== null && streamPosition !== null
        ? await store.readStream(stream, streamPosition, 1)
        : await store.readCategory(category, position, 1);
    return found?.globalPosition === position ? found : null;
  }

  /** A message that was handed out before, as the store has it; null when it is there no more. */
  async function again(position: bigint, suspect: boolean): Promise<Delivery | null> {
    const failed = failures.open.get(position) ?? null;
    const message = await storedAt(position, failed);
    const body = message === null ? null : handedOut(message, null);
    if (body === null) return null;
    return toDelivery(category, position, body, { failed, suspect, crashes: crashesOf(position) });
  }

  /** By the store's clock, or by how long we have known of it: our own wall clock may be wrong. */
  function isDue({ position, replayed, failedAt }: FailedMessage): boolean {
    if (replayed || recoverEveryMs === null) return replayed;
    const since = knownSince.get(position) ?? clock.monotonic();
    knownSince.set(position, since);
    return Math.max(clock.now() - failedAt, clock.monotonic() - since) >= recoverEveryMs;
  }

  /** Failures that nobody waits for in this process: of an earlier owner, or brought back by an operator. */
  const left = (): readonly FailedMessage[] =>
    [...failures.open.values()].filter((each) => !given.has(each.position) && isDue(each));

  return {
    group,
    name,
    streams: [category],
    async read({ count, blockMs, acks, signal }) {
      settling.acknowledge(acks);
      owned();
      await saveIfDue();
      if (mayRead(count)) {
        const page = await read(track.next, count);
        const deliveries = taken(page, false);
        if (page.messages.length > 0) {
          restMs = restless;
          return deliveries;
        }
      }
      await clock.sleep(Math.min(restMs, blockMs), signal);
      restMs = Math.min(longestRest, restMs * 2);
      return [];
    },
    async settle(settlements: readonly Settlement[]) {
      if (hold.lost) return settlements.map(({ delivery }) => delivery);
      for (const { kind, delivery } of settlements) if (kind === 'retry') given.add(BigInt(delivery.id));
      const disowned = await settling.settle(settlements);
      // Before, what was handled in the end still counts as failed, and would be taken up again.
      for (const { kind, delivery } of settlements) if (kind !== 'retry') given.delete(BigInt(delivery.id));
      return disowned;
    },
    async recordStart({ id }) {
      if (!(await hold.start(BigInt(id)))) owned();
    },
    async retake(held) {
      owned();
      const fresh: Delivery[] = [];
      for (const { id } of held) {
        const delivery = await again(BigInt(id), false);
        if (delivery !== null) fresh.push(delivery);
      }
      return fresh;
    },
    heartbeat: async (held) => (hold.lost ? held : []),
    async takeGivenBack(count) {
      owned();
      await settling.readFailures();
      const deliveries: Delivery[] = [];
      for (const { position } of left().slice(0, count)) {
        const delivery = await again(position, inherited.has(position));
        // Only now: what could not be read is left for the next look.
        given.add(position);
        inherited.delete(position);
        knownSince.delete(position);
        if (delivery !== null) deliveries.push(delivery);
      }
      return deliveries;
    },
    async reclaim(count) {
      if (suspects === 0) return { deliveries: [], lost: [] };
      const page = await read(track.next, Math.min(count, suspects));
      const deliveries = taken(page, true);
      suspects = page.messages.length === 0 ? 0 : Math.max(0, suspects - page.messages.length);
      underSuspicion = true;
      return { deliveries, lost: [] };
    },
    trim: async () => 0,
    async leave() {
      if (hold.lost) return;
      if (await settling.save()) await hold.release();
    },
    close: async () => undefined,
  };
}
