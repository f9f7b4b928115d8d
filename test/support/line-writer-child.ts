import { systemClock } from '../../src/runtime/clock.ts';
import { createLineWriter } from '../../src/telemetry/line-writer.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { examples } from './telemetry-facts.ts';

/**
 * A process that logs to a stderr which may take nothing: beats 20 times while it writes 1,000 lines a beat, then
 * flushes and exits. Says on stdout how often it beat and what was dropped.
 */
let counted = 0;
const lines = createLineWriter(
  { fd: 2, maxHeld: 256 * 1024 },
  {
    clock: systemClock,
    onDropped: (count) => {
      counted += count;
    },
  },
);
const log = createLog(
  { level: 'info', format: 'json', redact: [], slowHandlerThresholdMs: 0 },
  { lines, clock: systemClock, isTty: false, color: false, columns: 100 },
);

let beats = 0;
const beating = setInterval(() => {
  beats += 1;
  for (let line = 0; line < 1_000; line += 1) log.emit(examples['daemon.started']);
  if (beats === 20) void end();
}, 5);

async function end(): Promise<void> {
  clearInterval(beating);
  await log.flush(200);
  process.stdout.write(JSON.stringify({ beats, dropped: lines.dropped(), counted }), () => process.exit(0));
}
