import type { Clock, Millis } from '../runtime/clock.ts';
import { toError } from '../runtime/failure.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service } from '../runtime/service.ts';
import type { Wake } from '../runtime/wake.ts';
import { createWake } from '../runtime/wake.ts';
import type { Emit } from '../telemetry/event.ts';

/** A session with the database by which writers say that there are new rows. Every method may throw UnavailableError. */
export interface HintSession {
  /**
   * Lets writers know that the relay of this place is about to sleep, so that they say when they commit. False while a writer
   * that thought it awake has yet to commit: then the relay polls on. When true, everything committed so far can be read.
   */
  announceSleep(place: number): Promise<boolean>;
  /** From here on writers need not say anything. */
  announceWake(place: number): Promise<void>;
  /** Proves that what is said is heard. */
  roundTrip(): Promise<void>;
  close(): void;
}

/** How such a session is opened. `onHint` is told the place; `onLost`, once, that the session has ended. */
export type OpenHints = (onHint: (place: number) => void, onLost: (error: Error) => void) => Promise<HintSession>;

export interface HintDeps {
  readonly database: string;
  readonly open: OpenHints;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly loop: LoopOptions;
}

/** What relays rest by: shorter than asked where a writer says that there is work. */
export interface Hint extends Service {
  /** One waiter at a time for each place. With `signal` aborted, the relay has gone, and another may sleep there. */
  rest(place: number, ms: Millis, signal: AbortSignal): Promise<void>;
}

const mostShards = 1_024;

/**
 * The number by which writers and a relay meet. Rows that name no broker have the numbers of their shards; those of the
 * first external broker follow, and so on. The SQL functions number alike (schema/hint-names.ts).
 */
export const hintPlace = (shard: number, externalBrokers: readonly string[], target: string | null): number =>
  target === null ? shard : mostShards * (externalBrokers.indexOf(target) + 1) + shard;

/** A rest shorter than this is between messages that come thick and fast: polling costs less than waking up. */
const worthSleepingMs: Millis = 60;
const keepAliveMs: Millis = 5_000;

/**
 * The wake-up hint, which is never relied upon: a rest ends at the latest when it would have without it.
 *
 *   awake ──rest asked for, long enough──▶ announced ──one more read finds nothing──▶ asleep ──hint, or time──▶ awake
 *
 * While a relay is awake, writers find its lock free and say nothing, so a database under load sends no NOTIFY at all,
 * whose lock at commit would serialise the writers (PostgreSQL: async.c, PreCommit_Notify).
 */
export function createHint(deps: HintDeps): Hint {
  const { database, open, clock, emit } = deps;
  const wakes = new Map<number, Wake>();
  const announced = new Set<number>();
  let session: HintSession | null = null;
  let told: 'ready' | 'lost' | null = null;

  const wakeOf = (place: number): Wake => {
    const wake = wakes.get(place) ?? createWake(clock);
    wakes.set(place, wake);
    return wake;
  };

  function lose(error: Error): void {
    if (session === null) return;
    session.close();
    session = null;
    announced.clear();
    for (const wake of wakes.values()) wake.notify();
    tellLost(error);
  }

  /** Once, however often it is tried again. */
  function tellLost(err: Error): void {
    if (told !== 'lost') emit({ event: 'hint.lost', database, err });
    told = 'lost';
  }

  async function keep(): Promise<Millis> {
    if (session === null) {
      session = await open((place) => wakeOf(place).notify(), lose).catch((error) => {
        tellLost(toError(error));
        throw error;
      });
      told = 'ready';
      emit({ event: 'hint.ready', database });
      return keepAliveMs;
    }
    const asked = session;
    await asked.roundTrip().catch(lose);
    return session === null ? 0 : keepAliveMs;
  }

  async function rest(place: number, ms: Millis, signal: AbortSignal): Promise<void> {
    const wake = wakeOf(place);
    const current = session;
    if (current === null) return wake.rest(ms, signal);
    try {
      if (ms < worthSleepingMs) {
        if (announced.delete(place)) await current.announceWake(place);
        return await wake.rest(ms, signal);
      }
      if (announced.has(place)) return await wake.rest(ms, signal);
      if (!(await current.announceSleep(place))) return await wake.rest(worthSleepingMs, signal);
      announced.add(place);
      // Back at once: what was committed before the announcement is for the next read to find.
    } catch (error) {
      if (current === session) lose(toError(error));
    }
  }

  return {
    name: `hint:${database}`,
    rest,
    async run({ soft }) {
      await loop(keep, soft, deps.loop);
      session?.close();
      session = null;
    },
  };
}
