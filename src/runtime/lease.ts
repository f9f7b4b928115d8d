import type { Clock, Millis } from './clock.ts';
import type { Shutdown } from './service.ts';

/**
 * Exclusive ownership of a name, kept where all replicas see it. Times are issued and judged by the store's own clock.
 * Every method may throw UnavailableError. `token` grows with every change of owner: it is the fence.
 */
export interface LeaseStore {
  /** Takes the lease if it is free, expired or already `owner`'s; null when another owner holds it. */
  acquire(name: string, owner: string, ttlMs: Millis): Promise<string | null>;
  /** Extends the lease; false when `owner` with `token` no longer holds it. */
  renew(name: string, owner: string, token: string, ttlMs: Millis): Promise<boolean>;
  /** Gives the lease back, so that another replica can take it at once. */
  release(name: string, owner: string, token: string): Promise<void>;
  /** The names that begin so and whose leases somebody holds. */
  live(prefix: string): Promise<readonly string[]>;
}

export interface LeaseConfig {
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: Millis;
  /** Renewals are tried this often; a third of the time to live or less. */
  readonly renewEveryMs: Millis;
  /** How long before the store's expiry the owner stops trusting the lease. */
  readonly marginMs: Millis;
}

/** A lease in hand. `signal` aborts when it can no longer be trusted, always before another owner can have it. */
export interface Grant {
  readonly token: string;
  readonly signal: AbortSignal;
  /** Whether the lease may still be acted on, asked of the clock, for a process that was paused and whose timers have yet to fire. */
  trusted(): boolean;
}

export interface LeaseDeps {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly onChange: (state: 'acquired' | 'lost' | 'released') => void;
  readonly onError: (error: unknown) => void;
}

/**
 *          acquire ok                     trust runs out, or the store says no
 * waiting ───────────▶ owner (work runs) ─────────────────────────────────────▶ waiting
 *                          │ soft stop, or work is done
 *                          └──────────────▶ released
 *
 * Runs `work` whenever this owner holds the lease, until `shutdown.soft`. The lease is trusted only until
 * (start of the last good renewal + TTL − margin) on the monotonic clock: a process that was paused finds `signal`
 * aborted before it can act. `work` must return soon after `signal` or soft aborts.
 */
export async function whileLeased(
  config: LeaseConfig,
  deps: LeaseDeps,
  shutdown: Shutdown,
  work: (grant: Grant) => Promise<void>,
): Promise<void> {
  const { name, owner, ttlMs, renewEveryMs } = config;
  const { store, clock, onChange, onError } = deps;
  while (!shutdown.soft.aborted) {
    const startedAt = clock.monotonic();
    const token = await attempt(() => store.acquire(name, owner, ttlMs), null, onError);
    if (token === null) {
      await clock.sleep(Math.min(renewEveryMs, askAgainMs), shutdown.soft);
      continue;
    }
    onChange('acquired');
    const lost = await hold(config, deps, token, startedAt, work);
    if (lost) {
      onChange('lost');
      continue;
    }
    await attempt(() => store.release(name, owner, token), undefined, onError);
    onChange('released');
    if (!shutdown.soft.aborted) await clock.sleep(renewEveryMs, shutdown.soft);
  }
}

/** Runs `work` under the lease and renews it meanwhile; true when the lease was lost. */
async function hold(
  config: LeaseConfig,
  deps: LeaseDeps,
  token: string,
  grantedAt: Millis,
  work: (grant: Grant) => Promise<void>,
): Promise<boolean> {
  const { ttlMs, marginMs } = config;
  const trust: Trust = { until: grantedAt + ttlMs - marginMs, ended: new AbortController() };
  const finished = new AbortController();
  const { signal } = trust.ended;
  const trusted = () => !signal.aborted && deps.clock.monotonic() < trust.until;
  const renewing = Promise.all([
    keepRenewed(config, deps, token, trust, finished.signal),
    guard(deps.clock, trust, finished.signal),
  ]);
  try {
    await work({ token, signal, trusted });
  } finally {
    finished.abort();
    await renewing;
  }
  return signal.aborted;
}

/** How soon a lease that another owner gave back is noticed. */
const askAgainMs: Millis = 1_000;

interface Trust {
  until: Millis;
  readonly ended: AbortController;
}

async function keepRenewed(
  config: LeaseConfig,
  deps: LeaseDeps,
  token: string,
  trust: Trust,
  finished: AbortSignal,
): Promise<void> {
  const { name, owner, ttlMs, renewEveryMs, marginMs } = config;
  const { store, clock, onError } = deps;
  const stop = AbortSignal.any([finished, trust.ended.signal]);
  while (!stop.aborted) {
    await clock.sleep(renewEveryMs, stop);
    if (stop.aborted) return;
    const startedAt = clock.monotonic();
    const renewed = await attempt(() => store.renew(name, owner, token, ttlMs), null, onError);
    if (renewed === true) trust.until = startedAt + ttlMs - marginMs;
    if (renewed === false) trust.ended.abort();
  }
}

/** Ends the trust the moment it runs out, also while a renewal hangs. */
async function guard(clock: Clock, trust: Trust, finished: AbortSignal): Promise<void> {
  const stop = AbortSignal.any([finished, trust.ended.signal]);
  while (!stop.aborted) {
    const leftMs = trust.until - clock.monotonic();
    if (leftMs <= 0) return trust.ended.abort();
    await clock.sleep(leftMs, stop);
  }
}

async function attempt<T, F>(call: () => Promise<T>, otherwise: F, onError: (error: unknown) => void): Promise<T | F> {
  try {
    return await call();
  } catch (error) {
    onError(error);
    return otherwise;
  }
}
