import { AsyncLocalStorage } from 'node:async_hooks';
import type { LogFacts } from './context.ts';

/** A call of a handler, as far as a fault of the process can be traced to it. */
export interface RunningCall {
  readonly facts: () => LogFacts;
  /** Where it stands while it is under way; set by `enter`. */
  place?: Place;
}

/** Emptied at the call's end: the tables that a Set has outgrown stay, with what stood in them, until the heap is looked through. */
interface Place {
  call: RunningCall | null;
}

/** Whose fault it may be: exactly known, or one of those that were at work. */
export interface Suspicion {
  readonly certain: boolean;
  readonly calls: readonly LogFacts[];
}

/** The calls of handlers that are under way in this process: whom to ask when something in it goes wrong. */
export interface Running {
  /** Calls `run` as part of `call`; whatever it starts belongs to that call where `exact`. */
  enter<T>(call: RunningCall, run: () => T): T;
  leave(call: RunningCall): void;
  /** Who may have brought about what happens right now. */
  suspects(): Suspicion;
}

/** Names no more calls than this. */
const most = 16;

/**
 * `exact` follows what a handler starts through every promise and timer, and beyond its end. That is free from Node 24 on;
 * before, it makes each promise of the process dearer (2 µs a message), so there the calls under way are named, and where
 * there are none the last that ended.
 */
export function createRunning(exact: boolean = isFree()): Running {
  const storage = exact ? new AsyncLocalStorage<RunningCall>() : null;
  const underWay = new Set<Place>();
  /** Whose code runs right now, until its first await. */
  let current: RunningCall | null = null;
  let last: RunningCall | null = null;

  return {
    enter(call, run) {
      const place: Place = { call };
      call.place = place;
      underWay.add(place);
      const before = current;
      current = call;
      try {
        return storage === null ? run() : storage.run(call, run);
      } finally {
        current = before;
      }
    },
    leave(call) {
      if (call.place !== undefined) {
        underWay.delete(call.place);
        call.place.call = null;
      }
      last = call;
    },
    suspects() {
      const known = current ?? storage?.getStore() ?? null;
      if (known !== null) return { certain: true, calls: [known.facts()] };
      const possible =
        underWay.size > 0 ? [...underWay].flatMap(({ call }) => call ?? []) : last === null ? [] : [last];
      return { certain: false, calls: possible.slice(0, most).map((call) => call.facts()) };
    },
  };
}

const isFree = (): boolean => Number(process.versions.node.split('.')[0]) >= 24;
