import type { Clock, Millis } from '../runtime/clock.ts';
import type { Answer, Idempotency, KeyTimes } from './idempotency.ts';

interface Held {
  readonly owner: string;
  readonly answer: Answer | null;
  readonly until: Millis;
}

/** Keys in this process: gone with it. */
export function createMemoryIdempotency(
  { ttlMs, errorTtlMs }: KeyTimes,
  { clock }: { readonly clock: Clock },
): Idempotency {
  const keys = new Map<string, Held>();
  return {
    async claim(key, owner, again) {
      const found = keys.get(key);
      const held = found !== undefined && found.until > clock.monotonic() ? found : null;
      const isOwn = held?.owner === owner && held.answer?.kind !== 'done';
      const isFree = held === null || isOwn || (again && held.answer?.kind === 'failed');
      if (isFree) {
        keys.set(key, { owner, answer: null, until: clock.monotonic() + ttlMs });
        return { kind: 'claimed' };
      }
      return held.answer === null ? { kind: 'held' } : { kind: 'answered', answer: held.answer };
    },
    async settle(key, owner, answer) {
      if (keys.get(key)?.owner !== owner) return;
      const keptMs = answer.kind === 'done' ? ttlMs : errorTtlMs;
      keys.set(key, { owner, answer, until: clock.monotonic() + keptMs });
    },
    async purge(limit) {
      const over = [...keys].filter(([, { until }]) => until <= clock.monotonic()).slice(0, limit);
      for (const [key] of over) keys.delete(key);
      return over.length;
    },
  };
}
