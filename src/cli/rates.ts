import { isUnreached } from '../doctor/facts.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { Diagnosis } from './diagnose.ts';

/** How fast a stream and a group go, per second; null where the server does not count, or at the first look. */
export interface Rate {
  readonly added: number | null;
  readonly handled: number | null;
}

export interface Rates {
  of(stream: string, group: string): Rate;
}

interface Count {
  readonly added: number | null;
  readonly handled: number | null;
}

/** Measures between one look and the next. */
export function createRates(clock: Clock): (diagnosis: Diagnosis) => Rates {
  let last: { readonly at: Millis; readonly counts: ReadonlyMap<string, Count> } | null = null;
  return ({ brokers }) => {
    const before = last;
    const counts = new Map<string, Count>();
    for (const { server, streams } of brokers) {
      if (isUnreached(server)) continue;
      for (const { stream, added, groups } of streams) {
        for (const { group, read, pending } of groups) {
          counts.set(keyOf(stream, group), { added, handled: read === null ? null : read - pending });
        }
      }
    }
    const at = clock.monotonic();
    last = { at, counts };
    return {
      of(stream, group) {
        const now = counts.get(keyOf(stream, group));
        const then = before?.counts.get(keyOf(stream, group));
        if (now === undefined || then === undefined || before === null) return { added: null, handled: null };
        const seconds = (at - before.at) / 1_000;
        return { added: rate(now.added, then.added, seconds), handled: rate(now.handled, then.handled, seconds) };
      },
    };
  };
}

const keyOf = (stream: string, group: string): string => JSON.stringify([stream, group]);

const rate = (now: number | null, then: number | null, seconds: number): number | null =>
  now === null || then === null || seconds <= 0 ? null : Math.max(0, Math.round(((now - then) / seconds) * 10) / 10);

/** `12.5`, or `-` where it is not known. */
export const perSecond = (rate: number | null): string => (rate === null ? '-' : String(rate));
