import type { Fault } from '../runtime/errors.ts';
import { DecodeError } from '../runtime/errors.ts';
import { isObject } from './codec.ts';
import type { JsonObject } from './message.ts';

/** How the payload of a message of one version becomes that of a later one. */
export interface Upcast {
  /** The message's name: `OrderPlaced`. */
  readonly type: string;
  readonly from: number;
  readonly to: number;
  /** Given a payload of its own, which it may change. Must not wait for anything. */
  readonly up: (data: JsonObject) => unknown;
  /** Where it was written, for faults. */
  readonly place: string;
}

export interface Upcasts {
  /** By message name, the versions that can be made newer. */
  readonly known: ReadonlyMap<string, ReadonlySet<number>>;
  /** The newest version of a message, or null where no upcaster is about it. */
  newest(name: string): number | null;
  /** The payload, brought up step by step as far as it goes. Throws what an upcaster throws. */
  apply(name: string, version: number, data: JsonObject): { readonly version: number; readonly data: JsonObject };
}

/** The upcasters of a domain as chains, and what is wrong with them. `latest`: the newest version of each message by its schemas. */
export function chainUpcasts(
  all: readonly Upcast[],
  latest: ReadonlyMap<string, number>,
): { readonly upcasts: Upcasts; readonly faults: readonly Fault[] } {
  const steps = new Map<string, Map<number, Upcast>>();
  const faults: Fault[] = [];
  const fault = (place: string, code: string, message: string) => void faults.push({ code, where: place, message });

  for (const each of all) {
    const { type, from, to, place } = each;
    const ofType = steps.get(type) ?? new Map<number, Upcast>();
    steps.set(type, ofType);
    const earlier = ofType.get(from);
    if (earlier === undefined) ofType.set(from, each);
    else fault(place, 'clash', `${type}: version ${from} has an upcaster already (${earlier.place})`);
    if (to <= from)
      fault(place, 'bad_upcaster', `${type}: an upcaster leads to a later version, not from ${from} to ${to}`);
  }
  const newest = new Map([...steps].map(([type, ofType]) => [type, newestOf(ofType, latest.get(type))]));
  if (faults.length === 0) {
    for (const [type, ofType] of steps) {
      for (const { to, place } of ofType.values()) {
        const end = newest.get(type) ?? to;
        if (to === end || ofType.has(to)) continue;
        const way =
          to > end ? `there is no schema of version ${to}; the newest is ${end}` : `there is no upcaster from ${to}`;
        fault(place, 'gap', `${type}: nothing leads from version ${to} to version ${end}: ${way}`);
      }
    }
  }

  return {
    faults,
    upcasts: {
      known: new Map([...steps].map(([type, ofType]) => [type, new Set(ofType.keys())])),
      newest: (name) => newest.get(name) ?? null,
      apply(name, version, data) {
        let now = { version, data };
        for (let step = next(name, now.version); step !== undefined; step = next(name, now.version)) {
          now = { version: step.to, data: raised(step, now.data) };
        }
        return now;
      },
    },
  };

  function next(name: string, version: number): Upcast | undefined {
    return steps.get(name)?.get(version);
  }
}

/** What the schemas say, where they say something: an upcaster beyond that is a fault. */
function newestOf(ofType: ReadonlyMap<number, Upcast>, latest: number | undefined): number {
  return latest ?? Math.max(...[...ofType.values()].map(({ to }) => to));
}

function raised({ type, from, to, up }: Upcast, data: JsonObject): JsonObject {
  const made = up(data);
  if (isObject(made) && !isThenable(made)) return made;
  const what = isThenable(made) ? 'a promise' : made === null ? 'null' : typeof made;
  throw new DecodeError('bad_upcast', `the upcaster of ${type} from ${from} to ${to} returned ${what}, not an object`);
}

const isThenable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
