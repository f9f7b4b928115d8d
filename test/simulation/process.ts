import type { Clock, Millis } from '../../src/runtime/clock.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import type { Chance } from './chance.ts';
import type { Faults, Made, Point } from './faults.ts';
import type { World } from './world.ts';

/** What a process speaks to: each may be out of its reach for a while. */
export type Link = 'broker' | 'database';

/** One incarnation of a replica: a daemon that can die and stand still. */
export interface Process {
  /** Unique to the incarnation. */
  readonly name: string;
  readonly clock: Clock;
  readonly dead: boolean;
  readonly pausedUntil: Millis;
  crash(why: string): void;
  pause(ms: Millis, why: string): void;
  /** What a server does once it learns that the process is dead. */
  onDeath(then: () => void): () => void;
  /** Lets its wall clock jump. */
  skew(ms: Millis): void;
  /** No request arrives on this link until then. */
  cut(link: Link, untilAt: Millis): void;
  /** Asks something of a server: by the faults that are planned for this point. */
  ask<T>(point: Point, link: Link, act: () => Promise<T>, options?: AskOptions<T>): Promise<T>;
  /** Goes through a point of its own, at which it may die or stand still. */
  pass(point: Point): Promise<void>;
}

export interface AskOptions<T> {
  /** How long the server may keep the request beyond the usual. */
  readonly waitMs?: Millis;
  /** Told of an answer that did not reach the process, which may well be alive. */
  readonly onLost?: (value: T) => void;
}

export interface ProcessDeps {
  readonly world: World;
  readonly chance: Chance;
  readonly faults: Faults;
  readonly made: (fault: Made) => void;
  readonly trace: (line: string) => void;
  readonly onCrash: () => void;
}

/** How long a process waits for an answer. */
export const patienceMs: Millis = 300;
/** The longest that a request is held up beyond that; longer pauses than this are made on purpose, past leases. */
export const longestDelayMs: Millis = 2_000;
export const longestPauseMs: Millis = 6_000;

const lost = <T>(): Promise<T> => new Promise<T>(() => undefined);

export function createProcess(name: string, deps: ProcessDeps): Process {
  const { world, chance, faults, made, trace, onCrash } = deps;
  const deaths = new Set<() => void>();
  const cuts = new Map<Link, Millis>();
  const arrivals = new Map<Link, Millis>();
  let skewMs = 0;
  const state = { dead: false, pausedUntil: 0 };
  const fault = (point: string, kind: string) => {
    trace(`${name} ${point} ${kind}`);
    made({ at: world.now(), process: name, point, kind });
  };

  function crash(why: string): void {
    if (state.dead) return;
    state.dead = true;
    fault(why, 'crash');
    for (const die of deaths) die();
    deaths.clear();
    onCrash();
  }

  function pause(ms: Millis, why: string): void {
    state.pausedUntil = Math.max(state.pausedUntil, world.now() + ms);
    fault(why, `pause of ${ms} ms`);
  }

  /** Requests on one link arrive in the order in which they were sent, but for one that is held up. */
  function travelMs(link: Link, heldUpMs: Millis): Millis {
    const at = Math.max(world.now() + chance.upTo(3), (arrivals.get(link) ?? 0) + 0.001);
    if (heldUpMs === 0) arrivals.set(link, at);
    return at - world.now() + heldUpMs;
  }

  function ask<T>(point: Point, link: Link, act: () => Promise<T>, options: AskOptions<T> = {}): Promise<T> {
    const { waitMs = 0, onLost = () => undefined } = options;
    if (state.dead) return lost();
    const kind = faults.at(point);
    if (kind === 'crash_before') {
      crash(point);
      return lost();
    }
    if (kind === 'pause_before') pause(1 + chance.upTo(longestPauseMs), point);
    if (kind === 'lost_request' || kind === 'lost_reply' || kind === 'delayed') fault(point, kind);
    const unavailable = () => new UnavailableError('simulated', `${point} of ${name} has no answer`);
    return new Promise<T>((resolve, reject) => {
      if ((cuts.get(link) ?? 0) > world.now()) {
        world.after(chance.oneOf([1, patienceMs]), state, () => reject(unavailable()));
        return;
      }
      const unheard = kind === 'lost_request' || kind === 'lost_reply' || kind === 'delayed';
      if (unheard) world.after(patienceMs + waitMs, state, () => reject(unavailable()));
      if (kind === 'lost_request') return;
      const heldUpMs = kind === 'delayed' ? patienceMs + waitMs + 1 + chance.upTo(longestDelayMs) : 0;
      const answer = (settle: () => void) => {
        if (kind === 'crash_after') crash(point);
        if (kind === 'pause_after') pause(1 + chance.upTo(longestPauseMs), point);
        const ms = chance.upTo(3);
        if (ms === 0 && !state.dead && state.pausedUntil <= world.now()) settle();
        else world.after(ms, state, settle);
      };
      world.after(travelMs(link, heldUpMs), null, () => {
        trace(`${name} ${point}`);
        act().then(
          (value) => {
            if (unheard) onLost(value);
            else answer(() => resolve(value));
          },
          (error: unknown) => {
            if (!unheard) answer(() => reject(error));
          },
        );
      });
    });
  }

  return {
    name,
    clock: world.clockOf(state, () => skewMs),
    get dead() {
      return state.dead;
    },
    get pausedUntil() {
      return state.pausedUntil;
    },
    crash,
    pause,
    onDeath(then) {
      deaths.add(then);
      return () => deaths.delete(then);
    },
    skew(ms) {
      skewMs = ms;
      fault('clock', `skew of ${ms} ms`);
    },
    cut(link, untilAt) {
      cuts.set(link, untilAt);
      fault(link, `away for ${untilAt - world.now()} ms`);
    },
    ask,
    async pass(point) {
      if (state.dead) return lost();
      const kind = faults.at(point);
      if (kind === 'crash_before') crash(point);
      if (kind === 'pause_before') pause(1 + chance.upTo(longestPauseMs), point);
      await new Promise<void>((resolve) => {
        world.after(chance.upTo(4), state, resolve);
      });
    },
  };
}
