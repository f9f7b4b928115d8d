import type { Clock, Millis } from '../../src/runtime/clock.ts';
import type { Chance } from './chance.ts';

/** Something that time passes for: a process that may be dead, or stand still for a while. */
export interface Mortal {
  readonly dead: boolean;
  readonly pausedUntil: Millis;
}

/** Time, and all that is to happen: nothing in a run happens but by an event of its world. */
export interface World {
  readonly now: () => Millis;
  /** The clock of the servers. */
  readonly clock: Clock;
  /** A process's own: its timers wait while it stands still, and ring no more once it is dead. */
  readonly clockOf: (owner: Mortal, skewMs: () => Millis) => Clock;
  /** Lets something happen to `owner`, or to the servers where that is null; what it returns takes it back. */
  readonly after: (ms: Millis, owner: Mortal | null, then: () => void) => () => void;
  /** Runs until `done`, or until so much time has passed: whether it is done. */
  readonly run: (done: () => boolean, ms: Millis) => Promise<boolean>;
  /** So many events have happened. */
  readonly steps: () => number;
}

interface Event {
  at: Millis;
  /** Those of one instant come in an order that the seed gives. */
  readonly turn: number;
  readonly owner: Mortal | null;
  then: (() => void) | null;
}

/** Longer than any run: never. */
const never: Millis = 1e9;

/**
 * So many events a turn of Node's event loop. Between two of them all promises are followed to where they wait for another
 * event; a turn costs more than most events do.
 */
const eventsATurn = 64;

export function createWorld(chance: Chance, startAt: Millis): World {
  const events: Event[] = [];
  let now = startAt;
  let steps = 0;

  function after(ms: Millis, owner: Mortal | null, then: () => void): () => void {
    if (ms >= never) return () => undefined;
    const event: Event = { at: now + Math.max(0, ms), turn: chance.random(), owner, then };
    push(events, event);
    return () => {
      event.then = null;
    };
  }

  function clockOf(owner: Mortal | null, skewMs: () => Millis): Clock {
    return {
      now: () => now + skewMs(),
      monotonic: () => now,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) return resolve();
          const cancel = after(ms, owner, () => end());
          const end = () => {
            cancel();
            signal.removeEventListener('abort', end);
            resolve();
          };
          signal.addEventListener('abort', end, { once: true });
        }),
      after: (ms, then) => after(ms, owner, then),
    };
  }

  return {
    now: () => now,
    clock: clockOf(null, () => 0),
    clockOf,
    after,
    steps: () => steps,
    run(done, ms) {
      const until = now + ms;
      return new Promise((resolve) => {
        let result: boolean | null = null;
        const step = () => {
          result ??= happen(done, until);
        };
        const turn = () => {
          if (result !== null) return resolve(result);
          for (let count = eventsATurn; count > 0; count -= 1) setImmediate(step);
          setImmediate(turn);
        };
        // What the caller has just begun goes first.
        setImmediate(turn);
      });
    },
  };

  /** Lets one event happen; null, or how the run has ended. */
  function happen(done: () => boolean, until: Millis): boolean | null {
    if (done()) return true;
    for (;;) {
      const next = events[0];
      if (next === undefined || next.at > until) {
        now = until;
        return false;
      }
      pop(events);
      const { owner, then } = next;
      if (then === null || owner?.dead === true) continue;
      if (owner !== null && owner.pausedUntil > next.at) {
        next.at = owner.pausedUntil;
        push(events, next);
        continue;
      }
      now = next.at;
      steps += 1;
      next.then = null;
      then();
      return null;
    }
  }
}

const before = (one: Event, other: Event): boolean =>
  one.at < other.at || (one.at === other.at && one.turn < other.turn);

/** A heap: the next event first. */
function push(events: Event[], event: Event): void {
  let at = events.push(event) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = events[parent];
    if (above === undefined || !before(event, above)) break;
    events[at] = above;
    at = parent;
  }
  events[at] = event;
}

function pop(events: Event[]): void {
  const last = events.pop();
  if (last === undefined || events.length === 0) return;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const [one, other] = [events[left], events[left + 1]];
    if (one === undefined) break;
    const [child, index] = other !== undefined && before(other, one) ? [other, left + 1] : [one, left];
    if (!before(child, last)) break;
    events[at] = child;
    at = index;
  }
  events[at] = last;
}
