import type { DeadLetter } from '../broker/dead-letters.ts';

/** Letters with the same key failed for the same cause: the same error of the same handler, but for ids and numbers in it. */
export const causeKey = (handler: string | null, { errorType, reason, errorMessage }: DeadLetter): string =>
  JSON.stringify([handler, errorType, reason, errorMessage === null ? null : withoutDetail(errorMessage)]);

/** `order 42 of "Ada" is unknown` → `order # of "…" is unknown`. */
export const withoutDetail = (message: string): string =>
  (message.split('\n')[0] ?? '')
    .slice(0, 300)
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '#')
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, (quoted) => `${quoted[0]}…${quoted[0]}`)
    .replace(/[\w.:-]*\d[\w.:-]*/g, '#');
