import type { Clock, Millis } from '../runtime/clock.ts';
import type { LeaseStore } from '../runtime/lease.ts';

interface Held {
  readonly owner: string;
  readonly token: number;
  readonly expiresAt: Millis;
}

export interface MemoryLeases extends LeaseStore {
  /** Whether `token` is the last that was given out for this lease: what fences go by. */
  holds(name: string, token: string): boolean;
}

/** Leases inside the process, by the same rules as in PostgreSQL. Tokens grow also over a release. */
export function createMemoryLeases(clock: Clock): MemoryLeases {
  const leases = new Map<string, Held>();
  const heldBy = (name: string, owner: string, token: string): Held | null => {
    const held = leases.get(name);
    const ours = held?.owner === owner && String(held.token) === token && held.expiresAt > clock.monotonic();
    return ours && held !== undefined ? held : null;
  };
  return {
    holds: (name, token) => String(leases.get(name)?.token) === token,
    async acquire(name, owner, ttlMs) {
      const held = leases.get(name);
      const free = held === undefined || held.expiresAt <= clock.monotonic();
      if (!free && held.owner !== owner) return null;
      const token = free ? (held?.token ?? 0) + 1 : held.token;
      leases.set(name, { owner, token, expiresAt: clock.monotonic() + ttlMs });
      return String(token);
    },
    async renew(name, owner, token, ttlMs) {
      const held = heldBy(name, owner, token);
      if (held === null) return false;
      leases.set(name, { ...held, expiresAt: clock.monotonic() + ttlMs });
      return true;
    },
    async live(prefix) {
      const now = clock.monotonic();
      return [...leases].flatMap(([name, { expiresAt }]) => (name.startsWith(prefix) && expiresAt > now ? [name] : []));
    },
    async release(name, owner, token) {
      const held = heldBy(name, owner, token);
      if (held !== null) leases.set(name, { ...held, expiresAt: clock.monotonic() });
    },
  };
}
