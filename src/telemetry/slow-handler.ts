import type { Millis } from '../runtime/clock.ts';
import type { EventOf, TelemetryEvent } from './event.ts';

/** The `handler.slow` that a fact about a delivery implies, or null. A threshold of 0 asks for none. */
export function slowHandlerIn(fact: TelemetryEvent, thresholdMs: Millis): EventOf<'handler.slow'> | null {
  if (!('entry_id' in fact && 'duration_ms' in fact)) return null;
  const { subscription, message_id, message_type, entry_id, duration_ms } = fact;
  if (thresholdMs <= 0 || duration_ms < thresholdMs) return null;
  return {
    event: 'handler.slow',
    subscription,
    message_id: message_id ?? entry_id,
    message_type: message_type ?? 'unknown',
    duration_ms,
  };
}
