import type { RedisCommand, RedisReply } from '../connection/reply-of-redis.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import type { Millis } from '../runtime/clock.ts';
import { parseHistory } from './attempt-records.ts';
import type { Delivery } from './broker.ts';
import { entryOf } from './redis-entry.ts';
import { isGroupLost } from './redis-errors.ts';
import type { Membership } from './redis-membership.ts';
import { byStream, givenBack, recreateGroups, scriptOn } from './redis-membership.ts';
import { reclaim as reclaimScript, retake as retakeScript, takeGivenBack } from './redis-pending-scripts.ts';

/** An entry of our own that no delivery stands for. */
export interface Missing {
  readonly id: string;
  /** How often it was delivered. */
  readonly deliveries: number;
}

/** Calls of XAUTOCLAIM a sweep and stream: each looks at up to a thousand pending entries. */
const callsASweep = 100;
const entriesACall = 100;
/** Between the server's clock and ours, while a read is under way. */
const slackMs: Millis = 100;

/** Where one consumer gets entries that were delivered before: its own, and those that others left behind. */
export function createRedisReclaim(membership: Membership) {
  const { ask, gathered, keys, group, name, streams, aside, hand, clock, lost } = membership;
  const read = streams.filter((stream) => !aside.includes(stream));
  const cursors = new Map<string, string>();
  const reads = new Set<{ readonly since: Millis }>();
  /** From how many deliveries on a missing entry is suspect. At first it may be what killed a consumer of our name. */
  let suspectFrom = fromNamesake;

  /** The delivery in `[id, fields, deliveries before, history, crashes]`. */
  function deliveryIn(stream: string, taken: RedisReply, suspect: (deliveries: number) => boolean): Delivery | null {
    const [id, fields, deliveries, stored, crashes] = listOf(taken);
    const entry = entryOf([id ?? null, fields ?? null]);
    if (entry === null) return null;
    const { id: entryId, body, bare, raw } = entry;
    const kept = parseHistory(textOf(stored));
    const known = hand.historyOf(stream, entryId);
    const history = known.length > kept.length ? known : kept;
    return {
      id: entryId,
      stream,
      body,
      bare,
      raw,
      attempt: history.length + 1,
      history,
      redelivered: true,
      suspect: suspect(numberOf(deliveries) ?? 1),
      crashes: numberOf(crashes) ?? 0,
    };
  }

  /** Runs a script that takes entries. */
  async function take(
    stream: string,
    command: RedisCommand,
    suspect: (deliveries: number) => boolean,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly rest: readonly RedisReply[] }> {
    const [taken, gone, ...rest] = listOf(await ask.one(command, { bytes: true }));
    for (const id of listOf(gone)) {
      hand.release(stream, textOf(id) ?? '');
      lost.push(textOf(id) ?? '');
    }
    const deliveries = listOf(taken)
      .map((each) => deliveryIn(stream, each, suspect))
      .filter((delivery) => delivery !== null);
    return { deliveries, rest };
  }

  const notInHand = ({ stream, id }: Delivery) => !hand.has(stream, id);

  /** Into the hand at the very end: what was taken before a failure is missing then, and found by the next look. */
  const handOut = (deliveries: readonly Delivery[]) => deliveries.filter(({ stream, id }) => hand.take(stream, id));

  /** Entries pending for us that were never handed out: the answer that brought them was lost. */
  async function missing(stream: string): Promise<readonly Missing[]> {
    const found: Missing[] = [];
    let from = '-';
    for (;;) {
      const askedAt = clock.monotonic();
      const page = listOf(await ask.one(['XPENDING', keys.keyOf(stream), group, from, '+', entriesACall * 10, name]));
      // What a read that is under way has just been given is on its way to us, and has been pending no longer than that.
      const since = Math.min(askedAt, ...[...reads].map((read) => read.since));
      const onTheWayMs = reads.size === 0 ? null : clock.monotonic() - since + slackMs;
      for (const each of page) {
        const [id, , idleMs, deliveries] = listOf(each);
        const text = textOf(id) ?? '';
        from = `(${text}`;
        const onTheWay = onTheWayMs !== null && (numberOf(idleMs) ?? 0) <= onTheWayMs;
        if (!onTheWay && !hand.has(stream, text)) found.push({ id: text, deliveries: numberOf(deliveries) ?? 1 });
      }
      if (page.length < entriesACall * 10) return found;
    }
  }

  /** Whether more is pending for us than we hold: cheap, and so asked before every entry is looked at. */
  async function holdsTooLittle(stream: string): Promise<boolean> {
    const [, , , consumers] = listOf(await ask.one(['XPENDING', keys.keyOf(stream), group]));
    const own = listOf(consumers).find((each) => textOf(listOf(each)[0]) === name);
    return (numberOf(listOf(own)[1]) ?? 0) > hand.size(stream);
  }

  /** The missing ones. */
  async function findMissing(among: readonly string[], count: number): Promise<readonly Delivery[]> {
    const recovered: Delivery[] = [];
    for (const stream of among) {
      const left = count - recovered.length;
      if (left <= 0) break;
      const ids = (await missing(stream)).slice(0, left).map(({ id }) => id);
      if (ids.length === 0) continue;
      const command = scriptOn(membership, retakeScript, stream, ids);
      const { deliveries } = await take(stream, command, (before) => before >= suspectFrom);
      recovered.push(...deliveries);
    }
    return recovered;
  }

  const orphan = (before: number) => before >= 1;

  async function givenBackOn(stream: string, count: number, minIdleMs: Millis): Promise<readonly Delivery[]> {
    const script = scriptOn(membership, takeGivenBack, stream, [givenBack, count, minIdleMs]);
    return (await take(stream, script, orphan)).deliveries;
  }

  async function sweep(stream: string, count: number, minIdleMs: Millis): Promise<readonly Delivery[]> {
    const found = [...(await givenBackOn(stream, count, minIdleMs))];
    for (let call = 0; call < callsASweep && found.length < count; call += 1) {
      const cursor = cursors.get(stream) ?? '0-0';
      const limit = Math.min(count - found.length, entriesACall);
      const command = scriptOn(membership, reclaimScript, stream, [minIdleMs, cursor, limit]);
      const { deliveries, rest } = await take(stream, command, orphan);
      found.push(...deliveries.filter(notInHand));
      const next = textOf(rest[0]) ?? '0-0';
      cursors.set(stream, next);
      if (next === '0-0') break;
    }
    return found;
  }

  /** New entries of a stream that the reads pass over. */
  async function takeNew(stream: string, count: number): Promise<readonly Delivery[]> {
    const command: RedisCommand = [
      'XREADGROUP',
      'GROUP',
      group,
      name,
      'COUNT',
      count,
      'STREAMS',
      keys.keyOf(stream),
      '>',
    ];
    const [found] = listOf(await ask.one(command, { bytes: true }));
    return listOf(listOf(found ?? null)[1] ?? null)
      .map((entry) => deliveryIn(stream, [...listOf(entry), 1, null, null], () => false))
      .flatMap((delivery) => (delivery === null ? [] : [{ ...delivery, redelivered: false }]));
  }

  return {
    missing,

    async recover(count: number): Promise<readonly Delivery[]> {
      const found = await findMissing(streams, count);
      if (found.length === 0) suspectFrom = fromAnother;
      return handOut(found);
    },

    /** Tells that a read is under way, so that what it brings is not taken for missing; call what it returns at the end. */
    reading(): () => void {
      const read = { since: clock.monotonic() };
      reads.add(read);
      return () => reads.delete(read);
    },

    async retake(held: readonly Delivery[]): Promise<readonly Delivery[]> {
      const fresh: Delivery[] = [];
      for (const [stream, deliveries] of byStream(held, ({ stream }) => stream)) {
        const suspects = new Set(deliveries.filter(({ suspect }) => suspect).map(({ id }) => id));
        const command = scriptOn(
          membership,
          retakeScript,
          stream,
          deliveries.map(({ id }) => id),
        );
        const taken = (await take(stream, command, () => false)).deliveries;
        fresh.push(...taken.map((each) => ({ ...each, suspect: suspects.has(each.id) && each.crashes > 0 })));
        for (const { id } of taken) hand.take(stream, id);
        const ours = new Set(taken.map(({ id }) => id));
        for (const { id } of deliveries) if (!ours.has(id)) hand.release(stream, id);
      }
      return fresh;
    },

    async takeGivenBack(count: number, minIdleMs: Millis): Promise<readonly Delivery[]> {
      const found: Delivery[] = [];
      const asked = read.map(
        (stream): RedisCommand => ['XPENDING', keys.keyOf(stream), group, 'IDLE', minIdleMs, '-', '+', 1, givenBack],
      );
      for (const [index, answer] of (await gathered(asked)).entries()) {
        const stream = read[index];
        // A group that is gone has nothing; the next read makes it again.
        if (stream === undefined || answer instanceof Error || listOf(answer).length === 0) continue;
        const left = count - found.length;
        if (left > 0) found.push(...(await givenBackOn(stream, left, minIdleMs)));
      }
      return handOut(found);
    },

    async reclaim(count: number, minIdleMs: Millis) {
      const deliveries: Delivery[] = [];
      try {
        for (const stream of streams) {
          const left = () => count - deliveries.length;
          if (await holdsTooLittle(stream)) deliveries.push(...(await findMissing([stream], left())));
          if (left() > 0) deliveries.push(...(await sweep(stream, left(), minIdleMs)));
          if (left() > 0 && aside.includes(stream)) deliveries.push(...(await takeNew(stream, left())));
        }
      } catch (error) {
        if (!isGroupLost(error)) throw error;
        await recreateGroups(membership);
      }
      return { deliveries: handOut(deliveries), lost: lost.splice(0) };
    },
  };
}

export type RedisReclaim = ReturnType<typeof createRedisReclaim>;

const fromNamesake = 1;
/** What was delivered to us once was never seen by anybody; twice, and it had been taken over from somebody. */
const fromAnother = 2;
