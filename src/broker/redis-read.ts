import type { RedisCommand } from '../connection/reply-of-redis.ts';
import { listOf, textOf } from '../connection/reply-of-redis.ts';
import type { Millis } from '../runtime/clock.ts';
import type { AttemptRecord, Delivery, ReadRequest } from './broker.ts';
import type { Lanes } from './lanes.ts';
import type { Answer } from './redis-ask.ts';
import { entryOf } from './redis-entry.ts';
import { isAcrossSlots, isGroupLost } from './redis-errors.ts';
import type { Membership } from './redis-membership.ts';
import { recreateGroups } from './redis-membership.ts';
import type { RedisReclaim } from './redis-reclaim.ts';
import { readInTurn } from './redis-scripts.ts';
import type { RedisSettle } from './redis-settle.ts';
import { untilAborted } from './redis-unblock.ts';

const noHistory: readonly AttemptRecord[] = [];
const nothing: readonly Delivery[] = [];
/** Streams that no one command may read together are looked at in turn, this often. */
const pollEveryMs: Millis = 100;
/** A server that lost sight of us may go on serving a read for as long as that read would have blocked, and this. */
const lingerMs: Millis = 1_000;

/** The reading of new entries: the acknowledgements of the last batch and the request for the next in one round trip. */
export function createRedisRead(membership: Membership, settle: RedisSettle, reclaim: RedisReclaim) {
  const { group, name, lanes, keys, asReader, clock, commandTimeoutMs, hand } = membership;
  const streams = lanes.flat();
  const nameOf = new Map(streams.map((stream) => [keys.keyOf(stream), stream]));
  /** Streams that one command may read; a server of a cluster may have shown that these are not all of them. */
  let slots: readonly Lanes[] = [lanes];
  let turn = 0;
  /** Until when entries may be delivered to us that we do not see. At first: what a namesake before us left behind. */
  let doubtUntil: Millis | null = clock.monotonic();

  const readCommand = (count: number, blockMs: Millis): RedisCommand => {
    const options = blockMs > 0 ? ['COUNT', count, 'BLOCK', Math.ceil(blockMs)] : ['COUNT', count];
    const places = [...streams.map(keys.keyOf), ...streams.map(() => '>')];
    return ['XREADGROUP', 'GROUP', group, name, ...options, 'STREAMS', ...places];
  };

  /** Entries as new deliveries. Written out: to spread the entry takes ten times as long. */
  function deliveriesIn(answer: Answer): readonly Delivery[] {
    const deliveries: Delivery[] = [];
    for (const each of listOf(answer)) {
      const [key, entries] = listOf(each);
      const stream = nameOf.get(textOf(key) ?? '') ?? '';
      for (const reply of listOf(entries)) {
        const entry = entryOf(reply);
        if (entry === null || !hand.take(stream, entry.id)) continue;
        const { id, body, bare, raw } = entry;
        deliveries.push({
          id,
          stream,
          body,
          bare,
          raw,
          attempt: 1,
          history: noHistory,
          redelivered: false,
          suspect: false,
          crashes: 0,
        });
      }
    }
    return deliveries;
  }

  /** One round trip. Whatever goes wrong with it, the next read looks for what it may have been given. */
  async function request(
    command: RedisCommand,
    acks: readonly Delivery[],
    blockMs: Millis,
    signal: AbortSignal,
  ): Promise<readonly Delivery[]> {
    const steps = settle.acknowledgements(acks);
    const commands = [...steps.map((step) => step.command), command];
    let deliveries: readonly Delivery[] | null = null;
    const ended = reclaim.reading();
    try {
      const asking = asReader.all(commands, { boundMs: blockMs + commandTimeoutMs, bytes: true });
      const answers = blockMs > 0 ? await untilAborted(asking, signal, membership) : await asking;
      settle.conclude(steps, answers);
      const answer = answers.at(-1) ?? null;
      if (answer instanceof Error) throw asReader.failed(answer, command);
      deliveries = deliveriesIn(answer);
      return deliveries;
    } finally {
      ended();
      if (deliveries === null) doubtUntil = clock.monotonic() + blockMs + lingerMs;
    }
  }

  /** What is there now, shared out among the streams. */
  async function available(
    count: number,
    acks: readonly Delivery[],
    signal: AbortSignal,
  ): Promise<readonly Delivery[]> {
    const found: Delivery[] = [];
    let complete = false;
    try {
      let toAck = acks;
      for (let slot = 0; slot < slots.length && found.length < count; slot += 1) {
        const together = slots[(turn + slot) % slots.length] ?? [];
        const names = together.flat().map(keys.keyOf);
        const asked = [group, name, count - found.length, together.map(({ length }) => length).join(), turn];
        found.push(...(await request(['EVAL', readInTurn, names.length, ...names, ...asked], toAck, 0, signal)));
        toAck = nothing;
      }
      if (found.length > 0) turn += 1;
      complete = true;
    } finally {
      if (!complete) leaveToRecovery(found);
    }
    return found;
  }

  async function awaited({ count, blockMs, acks, signal }: ReadRequest): Promise<readonly Delivery[]> {
    if (streams.length === 1) return request(readCommand(count, blockMs), acks, blockMs, signal);
    const found = await available(count, acks, signal);
    if (found.length > 0 || blockMs <= 0 || signal.aborted) return found;
    if (slots.length > 1) return polled(count, blockMs, signal);
    // COUNT is for each stream: two that are filled while we ask can give more than was asked for.
    const share = Math.max(1, Math.floor(count / streams.length));
    const deliveries = await request(readCommand(share, blockMs), nothing, blockMs, signal);
    leaveToRecovery(deliveries.slice(count));
    return deliveries.slice(0, count);
  }

  /** Out of our hand although they are ours: the next read finds them missing and brings them. */
  function leaveToRecovery(deliveries: readonly Delivery[]): void {
    if (deliveries.length > 0) doubtUntil ??= clock.monotonic();
    for (const { stream, id } of deliveries) hand.release(stream, id);
  }

  async function polled(count: number, blockMs: Millis, signal: AbortSignal): Promise<readonly Delivery[]> {
    const until = clock.monotonic() + blockMs;
    for (;;) {
      const leftMs = until - clock.monotonic();
      if (leftMs <= 0 || signal.aborted) return nothing;
      await clock.sleep(Math.min(pollEveryMs, leftMs), signal);
      const found = signal.aborted ? nothing : await available(count, [], signal);
      if (found.length > 0) return found;
    }
  }

  async function giveBack(deliveries: readonly Delivery[]): Promise<void> {
    try {
      await settle.settle(deliveries.map((delivery) => ({ kind: 'give_back', delivery })));
    } finally {
      leaveToRecovery(deliveries);
    }
  }

  async function recovered(count: number): Promise<readonly Delivery[]> {
    if (doubtUntil === null) return nothing;
    const found = await reclaim.recover(count);
    if (found.length > 0) return found;
    if (clock.monotonic() >= doubtUntil) doubtUntil = null;
    return nothing;
  }

  return async function read(asked: ReadRequest): Promise<readonly Delivery[]> {
    const { count, acks, signal } = asked;
    try {
      await asReader.ready(signal);
      const now = signal.aborted || doubtUntil !== null;
      if (now) await settle.settle(acks.map((delivery) => ({ kind: 'ack', delivery })));
      if (signal.aborted) return nothing;
      const found = await recovered(count);
      if (found.length > 0) return found;
      const deliveries = await awaited(now ? { ...asked, acks: nothing } : asked);
      if (!signal.aborted || deliveries.length === 0) return deliveries;
      await giveBack(deliveries);
      return nothing;
    } catch (error) {
      if (isAcrossSlots(error) && slots.length === 1) slots = inSlots(lanes, keys);
      else if (isGroupLost(error)) await recreateGroups(membership);
      else throw error;
      return nothing;
    }
  };
}

/** The streams by what one command may read on a cluster. */
const inSlots = (lanes: Lanes, keys: Membership['keys']): readonly Lanes[] =>
  keys
    .together(lanes.flat())
    .map((names) =>
      lanes.map((each) => each.filter((name) => names.includes(name))).filter(({ length }) => length > 0),
    );
