import type { PartitionHint, Partitions } from '../broker/partition.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Emit } from '../telemetry/event.ts';
import type { OwnedKey } from './partition-key.ts';
import { isIdle, ownedKey } from './partition-key.ts';
import { createKnownKeys } from './partition-known.ts';

export interface PartitionOwnerDeps {
  /** The handler's name. */
  readonly name: string;
  readonly stream: string;
  readonly group: string;
  /** All that are to read these partitions: a key goes only when each is done with it. */
  readonly groups: readonly string[];
  readonly partitions: Partitions;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Told of keys that were taken, or that are to be looked at again. */
  readonly onTurn: (keys: readonly OwnedKey[]) => void;
  /** Whether a handler of this process still runs for a key that it has lost. */
  readonly runs: (key: string) => boolean;
}

/** Which keys are this process's, and for how long. */
export interface PartitionOwner {
  readonly owned: ReadonlyMap<string, OwnedKey>;
  /** One round: says that it lives, renews, looks for keys, takes its share, gives back what is above it. Throws as the broker does. */
  look(): Promise<void>;
  /** Takes note of hints; true where a key may be had by looking now. */
  heard(hints: readonly PartitionHint[]): boolean;
  /** The key is another's by now. */
  lose(key: OwnedKey): void;
  /** Gives back what is idle and, from now on, everything as soon as it is. */
  drain(): Promise<void>;
  /** What became idle while draining is given back. */
  settled(keys: readonly OwnedKey[]): Promise<void>;
  readonly draining: boolean;
  /** A key stands still, or goes on: to be told with the next round. */
  changed(): void;
}

/** Keys tried, given back or looked at in one round. */
const keysARound = 500;
const reapedARound = 50;
/** Every key is looked at again within so many rounds, hint or not, and more of them where that would be too many at once. */
const roundsASweep = 8;
const keysASweep = 200;
/** How much sooner than the broker this process takes a lease for lost. */
const marginOf = (ttlMs: Millis): Millis => Math.min(1_000, ttlMs / 10);
const freshCountMs: Millis = 100;

/**
 * How replicas come to an even share of the keys without talking to each other: each says that it lives, and counts those
 * that do. A share is the number of keys by that of the living, rounded up; one takes no more, and gives back what it has
 * above. All of a round's work is about many keys at once, and no key has a timer, a loop or a connection of its own.
 */
export function createPartitionOwner(config: ServerConfig['partitioning'], deps: PartitionOwnerDeps): PartitionOwner {
  const { leaseTtlMs, heartbeatEveryMs, reapIdleMs } = config;
  const { name, stream, group, groups, partitions, clock, emit, onTurn, runs } = deps;
  const owned = new Map<string, OwnedKey>();
  const known = createKnownKeys(partitions);
  let freed = new Set<string>();
  let members = 1;
  let countedAt = Number.NEGATIVE_INFINITY;
  let beatAt = Number.NEGATIVE_INFINITY;
  let trial: string[] = [];
  let sweep: string[] = [];
  let cold: string[] = [];
  let draining = false;
  let changed = false;
  const tally = { acquired: 0, released: 0, lost: 0, reaped: 0 };

  async function count(): Promise<void> {
    members = await partitions.join();
    countedAt = clock.monotonic();
  }

  async function beat(): Promise<void> {
    const startedAt = clock.monotonic();
    if (startedAt < beatAt) return;
    if (!draining) await count();
    const held = [...owned.values()];
    const lost = new Set((await partitions.renew(held.map(({ lease }) => lease))).map(({ key }) => key));
    for (const key of held) {
      if (lost.has(key.lease.key)) lose(key);
      else key.trustedUntil = startedAt + leaseTtlMs - marginOf(leaseTtlMs);
    }
    beatAt = startedAt + heartbeatEveryMs;
  }

  function lose(key: OwnedKey): void {
    if (owned.get(key.lease.key) !== key) return;
    owned.delete(key.lease.key);
    tally.lost += 1;
  }

  const share = () => Math.ceil(known.size / Math.max(1, members));

  /** What was given back is tried first, then the others in turn, for as long as there are any to be had. */
  async function take(): Promise<void> {
    const wish = [...freed];
    freed = new Set();
    if (wish.length > 0 && clock.monotonic() - countedAt > freshCountMs) await count();
    if (share() <= owned.size) return;
    if (trial.length === 0) trial = known.all();
    const isFree = (key: string) => !owned.has(key) && !runs(key);
    for (let taken = 1; taken > 0 && owned.size < share(); ) {
      const wanted = wish.splice(0).filter(isFree);
      for (let key = trial.pop(); key !== undefined && wanted.length < keysARound; key = trial.pop()) {
        if (isFree(key)) wanted.push(key);
      }
      taken = wanted.length === 0 ? 0 : await acquire([...new Set(wanted)], share() - owned.size);
    }
  }

  async function acquire(wanted: readonly string[], limit: number): Promise<number> {
    const startedAt = clock.monotonic();
    const taken = (await partitions.acquire(wanted, limit)).map(({ lease, pending }) => {
      const trustedUntil = startedAt + leaseTtlMs - marginOf(leaseTtlMs);
      const key = ownedKey(lease, trustedUntil, pending, partitions.streamsOf(lease.key).length, startedAt);
      owned.set(lease.key, key);
      return key;
    });
    tally.acquired += taken.length;
    onTurn(taken);
    return taken.length;
  }

  async function giveBack(keys: readonly OwnedKey[]): Promise<void> {
    if (keys.length === 0) return;
    for (const { lease } of keys) owned.delete(lease.key);
    tally.released += keys.length;
    await partitions.release(keys.map(({ lease }) => lease));
  }

  /** `complete`: all keys there are are known. */
  async function evenOut(complete: boolean): Promise<void> {
    if (complete) await giveBack([...owned.values()].filter((key) => isIdle(key) && !known.has(key.lease.key)));
    const above = Math.min(keysARound, owned.size - share());
    if (above > 0) await giveBack([...owned.values()].filter(isIdle).slice(0, above));
  }

  /** Hints may be lost, and others give none. */
  function lookAgain(): void {
    if (sweep.length === 0) sweep = [...owned.keys()];
    const keys = sweep.splice(0, Math.min(keysASweep, Math.ceil(owned.size / roundsASweep)));
    onTurn(keys.flatMap((key) => owned.get(key) ?? []));
  }

  async function reap(): Promise<void> {
    if (cold.length === 0) cold = [...owned.keys()];
    const before = clock.monotonic() - reapIdleMs;
    const idle: OwnedKey[] = [];
    for (const name of cold.splice(0, keysARound)) {
      const key = owned.get(name);
      if (key !== undefined && isIdle(key) && key.queue.length === 0 && key.activeAt <= before) idle.push(key);
    }
    const some = idle.slice(0, reapedARound);
    if (some.length === 0) return;
    const now = clock.monotonic();
    for (const key of some) key.activeAt = now;
    const gone = await partitions.reap(
      some.map(({ lease }) => lease),
      reapIdleMs,
      groups,
    );
    for (const { key } of gone) {
      owned.delete(key);
      known.delete(key);
    }
    tally.reaped += gone.length;
  }

  function tell(): void {
    const { acquired, released, lost, reaped } = tally;
    if (acquired + released + lost + reaped === 0 && !changed) return;
    changed = false;
    emit({
      event: 'partitions.changed',
      subscription: name,
      stream,
      group,
      owned: owned.size,
      blocked: [...owned.values()].filter(({ blockedBy }) => blockedBy !== null).length,
      ...tally,
    });
    Object.assign(tally, { acquired: 0, released: 0, lost: 0, reaped: 0 });
  }

  return {
    owned,
    changed() {
      changed = true;
    },
    get draining() {
      return draining;
    },
    async look() {
      try {
        await beat();
        if (draining) return;
        await evenOut(await known.look());
        await take();
        lookAgain();
        await reap();
      } finally {
        tell();
      }
    },
    heard(hints) {
      let worthALook = false;
      for (const { key, freed: isFree } of hints) {
        if (owned.has(key) || (known.has(key) && !isFree)) continue;
        known.add(key);
        freed.add(key);
        worthALook = true;
      }
      return worthALook && !draining;
    },
    lose,
    async drain() {
      draining = true;
      await giveBack([...owned.values()].filter(isIdle));
      await partitions.leave();
      tell();
    },
    async settled(keys) {
      if (!draining) return;
      await giveBack(keys.filter((key) => isIdle(key) && owned.get(key.lease.key) === key));
      tell();
    },
  };
}
