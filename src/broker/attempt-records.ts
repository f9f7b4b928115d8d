import type { AttemptRecord } from './broker.ts';

/** The history of an entry as its bookkeeping holds it. What cannot be read counts as none: it never stops an entry. */
export function parseHistory(text: string | null): readonly AttemptRecord[] {
  if (text === null) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  return Array.isArray(parsed) ? parsed.filter(isRecord) : [];
}

const isRecord = (value: unknown): value is AttemptRecord =>
  typeof value === 'object' && value !== null && 'time' in value && 'error_type' in value && 'error_message' in value;

export const formatHistory = (history: readonly AttemptRecord[]): string => JSON.stringify(history);
