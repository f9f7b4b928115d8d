import type { Outgoing } from '../../src/broker/broker.ts';
import type { Failure } from '../../src/runtime/failure.ts';
import type { Chance } from './chance.ts';
import type { Made } from './faults.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** What a message does to whoever has to do with it. */
export type Nature =
  | 'plain'
  /** Its handler throws at the first attempts, or at every one. */
  | 'flaky'
  | 'poison'
  /** Its handler never ends, or takes the process with it. */
  | 'endless'
  | 'killer'
  /** It throws at first, and takes the process with it when it is tried again. */
  | 'late_killer'
  /** Its handler takes longer than a dead consumer is waited for. */
  | 'slow'
  /** The broker refuses it at first, or always. */
  | 'refused_once'
  | 'refused';

export interface Sent {
  /** The handler that it is for. */
  readonly handler: string;
  readonly key: string;
  readonly n: number;
  readonly nature: Nature;
  readonly at: number;
}

/** A handler was called for a message. */
export interface Started {
  readonly handler: string;
  readonly n: number;
  readonly attempt: number;
  readonly process: string;
  readonly at: number;
}

/** Who holds what has one owner, by the clock of the servers. */
export interface Tenures {
  readonly held: (name: string, process: string, ttlMs: number) => void;
  readonly released: (name: string, process: string) => void;
  readonly owner: (name: string) => string | null;
}

/** The ledger of a run, kept where no fault reaches it. */
export interface Observer {
  readonly sent: Sent[];
  readonly started: Started[];
  /** Numbers of the messages that the broker was given, in order; more than once where published twice. */
  readonly entries: number[];
  readonly made: Made[];
  /** What must not be, seen while it happened. */
  readonly breaches: string[];
  readonly tenures: Tenures;
  readonly publishing: (process: Process) => void;
  readonly published: (entry: Outgoing) => void;
  readonly refusalOf: (entry: Outgoing) => Failure | null;
  readonly handling: (process: Process, lease: string | null, call: Omit<Started, 'process' | 'at'>) => void;
}

/** The lease of the only shard of the outbox. */
const shardLease = 'outbox:default:default:0/1';

export function createObserver(world: World, chance: Chance): Observer {
  const leases = new Map<string, { readonly process: string; readonly until: number }>();
  const refusals = new Map<number, number>();
  const breaches: string[] = [];
  const sent: Sent[] = [];
  const started: Started[] = [];
  const entries: number[] = [];
  const owner = (name: string) => {
    const lease = leases.get(name);
    return lease === undefined || lease.until <= world.now() ? null : lease.process;
  };

  function mustOwn(name: string, process: Process, what: string): void {
    const holder = owner(name);
    if (holder !== process.name) breaches.push(`I9 ${process.name} ${what} while ${holder ?? 'nobody'} holds ${name}`);
  }

  return {
    sent,
    started,
    entries,
    made: [],
    breaches,
    tenures: {
      held: (name, process, ttlMs) => void leases.set(name, { process, until: world.now() + ttlMs }),
      released(name, process) {
        if (leases.get(name)?.process === process) leases.delete(name);
      },
      owner,
    },
    publishing: (process) => mustOwn(shardLease, process, 'publishes'),
    published: ({ body }) => void entries.push(numberIn(body)),
    refusalOf({ body }) {
      const n = numberIn(body);
      const nature = sent[n]?.nature;
      if (nature !== 'refused' && nature !== 'refused_once') return null;
      const times = (refusals.get(n) ?? 0) + 1;
      refusals.set(n, times);
      if (nature === 'refused_once' && times > 1 + chance.upTo(2)) return null;
      return { type: 'Error', code: 'WRONGTYPE', message: 'refused', stack: null };
    },
    handling(process, lease, call) {
      started.push({ ...call, process: process.name, at: world.now() });
      if (lease !== null) mustOwn(lease, process, `handles ${call.n}`);
    },
  };
}

/** The number that a message bears in its payload. */
function numberIn(body: string): number {
  return (JSON.parse(body) as { readonly data: { readonly n: number } }).data.n;
}
