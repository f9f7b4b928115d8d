import type { Emit, TelemetryEvent } from './event.ts';

/**
 * One `emit` for the stations, heard by the log, the metrics and the health in turn. A listener that throws is a bug
 * of telemetry and must not become a failure of the work it only watches: it is told to `onFault`, and the others
 * still hear the event.
 */
export function createEmit(
  listeners: readonly Emit[],
  onFault: (error: unknown, event: TelemetryEvent) => void = () => undefined,
): Emit {
  return (event) => {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        onFault(error, event);
      }
    }
  };
}
