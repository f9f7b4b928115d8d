import type { Millis } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const longestMs: Millis = 36_500 * units.d;

/** `90s`, `10m`, `2h`, `7d`: the one grammar of durations on the command line. `option` is for the error text. */
export function durationIn(text: string, option: string): Millis {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) {
    const ms = Number(count) * units[unit as keyof typeof units];
    if (ms <= longestMs) return ms;
    throw new UsageError(`${option} is longer than a hundred years: ${text}`);
  }
  const why = /^\d+$/.test(text)
    ? `needs a unit: ${text}s, ${text}m, ${text}h or ${text}d`
    : 'must be like 90s, 10m, 2h or 7d';
  throw new UsageError(`${option} ${why}, got "${text}"`);
}

/** An instant by another system's clock: so long before it looks, or a time with its zone. */
export type Instant = { readonly kind: 'ago'; readonly ms: Millis } | { readonly kind: 'at'; readonly iso: string };

/** `2h` (ago), or `2026-11-23T14:00:00Z`: a time must say its zone. */
export function instantIn(text: string, option: string): Instant {
  if (/^\d+[a-z]?$/.test(text)) return { kind: 'ago', ms: durationIn(text, option) };
  const zoned = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)$/i.test(text);
  if (zoned && !Number.isNaN(Date.parse(text))) return { kind: 'at', iso: text };
  const why = 'must be a time with its zone like 2026-11-23T14:00:00Z, or a duration like 2h: so long ago';
  throw new UsageError(`${option} ${why}, got "${text}"`);
}

/** `50/s`, `600/m`: the milliseconds between two. */
export function paceIn(text: string, option: string): Millis {
  const [, count, unit] = /^(\d{1,6})\/([smh])$/.exec(text) ?? [];
  if (Number(count) > 0 && unit !== undefined) return units[unit as keyof typeof units] / Number(count);
  throw new UsageError(`${option} must be like 50/s or 600/m, got "${text}"`);
}

/** A span for people, in its two largest units: `2d 3h`, `5m 20s`, `0s`. */
export function span(ms: Millis): string {
  const seconds = Math.floor(ms / 1_000);
  const [d, h, m, s] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  if (d > 0) return h > 0 ? `${d}d ${h}h` : `${d}d`;
  if (h > 0) return m > 0 ? `${h}h ${m}m` : `${h}h`;
  if (m > 0) return s > 0 ? `${m}m ${s}s` : `${m}m`;
  return `${s}s`;
}

/** The same where there may be none. */
export const spanOrNone = (ms: Millis | null): string => (ms === null ? '-' : span(ms));
