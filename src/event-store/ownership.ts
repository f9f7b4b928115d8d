import type { Clock, Millis } from '../runtime/clock.ts';
import { toError } from '../runtime/failure.ts';
import type { Grant, LeaseConfig, LeaseStore } from '../runtime/lease.ts';
import { whileLeased } from '../runtime/lease.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import { createShares } from '../runtime/shares.ts';
import type { Emit } from '../telemetry/event.ts';

export interface OwnershipConfig {
  /** What the names of the leases begin with: the same in all replicas, and in no other domain. */
  readonly prefix: string;
  /** Unique to this process. */
  readonly owner: string;
  readonly lease: Pick<LeaseConfig, 'ttlMs' | 'renewEveryMs' | 'marginMs'>;
}

export interface OwnershipDeps {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly loop: LoopOptions;
}

/** One time of being the owner of a subscription. */
export interface Tenure {
  readonly grant: Grant;
  /** `soft`: to be handed over, or the daemon stops. `hard`: lost, so that nothing more must be done. */
  readonly shutdown: Shutdown;
  /** Hands it over at once: somebody else has it already. */
  readonly leave: () => void;
}

export interface Owned {
  /** Unique among the subscriptions. */
  readonly key: string;
  /** Told when another replica has it: this one stands by. */
  readonly onStandBy: () => void;
  /** Runs whenever this replica is the owner; must end soon after `shutdown.soft`, and at once after `shutdown.hard`. */
  readonly work: (tenure: Tenure) => Promise<void>;
}

const pausing = 'pause:';

/** The lease of one subscription, and that by which an operator keeps all replicas from owning it. */
export const leasesOf = (prefix: string, key: string) => ({
  own: `${prefix}:${key}`,
  pause: `${prefix}:${pausing}${key}`,
});

/** How soon a replica that has come or gone is noticed. */
const lookEveryMs: Millis = 1_000;

/**
 * Sees to it that each subscription has one owner among all replicas, and each replica its share of them. An owner acts
 * only as long as it can trust its lease, which ends before another one can have it (see whileLeased). On drain the
 * leases are handed over at once, each as soon as its work has ended.
 */
export function createOwnership(config: OwnershipConfig, all: readonly Owned[], deps: OwnershipDeps): Service {
  const { prefix, owner, lease } = config;
  const { store, clock, emit, loop: options } = deps;
  const onError = (name: string) => (error: unknown) =>
    emit({ event: 'lease.failed', lease: name, err: toError(error) });
  const shares = createShares({ prefix, owner, lease }, { store, clock, onError: onError(prefix) });

  async function own({ key, onStandBy, work }: Owned, { soft, hard }: Shutdown): Promise<void> {
    const { own: name } = leasesOf(prefix, key);
    let standing = false;
    while (!soft.aborted) {
      const letGo = new AbortController();
      const stop = AbortSignal.any([soft, letGo.signal]);
      const leases = shares.leasesFor(key, letGo);
      const asking: LeaseStore = {
        ...leases,
        async acquire(...asked) {
          const token = await leases.acquire(...asked);
          if (token === null && !standing) onStandBy();
          standing = token === null;
          return token;
        },
      };
      await whileLeased(
        { name, owner, ...lease },
        {
          store: asking,
          clock,
          onChange(state) {
            if (state !== 'acquired') shares.gone(key);
            emit({ event: `lease.${state}`, lease: name, owner });
          },
          onError: onError(name),
        },
        { soft: stop, hard },
        (grant) =>
          work({
            grant,
            shutdown: { soft: AbortSignal.any([stop, grant.signal]), hard: AbortSignal.any([hard, grant.signal]) },
            leave: () => letGo.abort(),
          }),
      );
      // Another one was before us, or has more need of it: not to be asked for again in the same breath.
      if (!soft.aborted) await clock.sleep(lease.renewEveryMs, soft);
    }
  }

  return {
    name: prefix,
    async run(shutdown) {
      const { soft } = shutdown;
      const looked = new AbortController();
      const look = async () => {
        const names = await shares.look(all.length);
        shares.pause(new Set(names.flatMap((name) => (name.startsWith(pausing) ? [name.slice(pausing.length)] : []))));
        looked.abort();
        return lookEveryMs;
      };
      const looking = loop(look, soft, options);
      // The share is not known before.
      await clock.sleep(Number.MAX_SAFE_INTEGER, AbortSignal.any([soft, looked.signal]));
      await Promise.all([looking, ...all.map((each) => own(each, shutdown))]);
      await shares.leave();
    },
  };
}
