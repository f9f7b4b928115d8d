import type { LoggingConfig } from '../../src/config/config.ts';
import type { Millis } from '../../src/runtime/clock.ts';
import type { LineWriter } from '../../src/telemetry/line-writer.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { createLog } from '../../src/telemetry/log.ts';
import type { ManualClock } from './manual-clock.ts';
import { createManualClock } from './manual-clock.ts';

type Line = { readonly [key: string]: unknown };

export interface CapturedLog {
  readonly log: Log;
  readonly clock: ManualClock;
  /** Everything written, as it would leave. */
  text(): string;
  /** The JSON lines, parsed. */
  lines(): readonly Line[];
  /** Makes the destination refuse lines, as one does whose reader is too slow. */
  setFull(full: boolean): void;
}

export const instant: Millis = Date.UTC(2026, 10, 23, 14, 34, 47, 511);

/** A log whose lines stay in memory, on a manual clock. */
export function createCapturedLog(
  config: Partial<LoggingConfig> = {},
  terminal: { readonly isTty?: boolean; readonly color?: boolean; readonly columns?: number } = {},
): CapturedLog {
  const clock = createManualClock(instant);
  const written: string[] = [];
  let full = false;
  let dropped = 0;
  const lines: LineWriter = {
    write(line) {
      if (full) dropped += 1;
      else written.push(line);
      return !full;
    },
    dropped: () => dropped,
    flush: async () => undefined,
    flushSync: () => undefined,
  };
  const log = createLog(
    { level: 'info', format: 'json', redact: [], slowHandlerThresholdMs: 500, ...config },
    { lines, clock, isTty: false, color: false, columns: 100, ...terminal },
  );
  return {
    log,
    clock,
    text: () => written.join(''),
    lines: () => written.map((line) => JSON.parse(line) as Line),
    setFull(now) {
      full = now;
    },
  };
}
