import { Worker } from 'node:worker_threads';
import type { Running } from '../handler/running.ts';
import type { Millis } from '../runtime/clock.ts';
import type { Emit } from '../telemetry/event.ts';
import { internalFault } from './faults.ts';
import { watchdogThread } from './watchdog-thread.ts';

export interface WatchdogConfig {
  /** The event loop has stood still for so long: it is said where. */
  readonly reportAfterMs: Millis;
  /** So long that leases and heartbeats are lost: the process ends with 70. Null: it goes on. */
  readonly exitAfterMs: Millis | null;
}

export interface WatchdogDeps {
  readonly emit: Emit;
  readonly running: Running;
  /** Writes out what was said so far. */
  readonly flush: () => void;
}

interface Stall {
  readonly stalledMs: Millis;
  /** Frames, innermost first: `name file:line:column`. */
  readonly where: readonly string[];
  readonly exiting: boolean;
}

/** Called on this thread by the watchdog's, through the debugger. */
const place = Symbol.for('domaind.stalled');

/**
 * Watches the event loop from another thread: a handler that never gives way stops everything, its own deadline
 * included, and only from outside can be told which it is. Costs a beat every half second and a thread that sleeps.
 */
export function startWatchdog(config: WatchdogConfig, deps: WatchdogDeps): { close(): Promise<void> } {
  const { reportAfterMs, exitAfterMs } = config;
  const { emit, running, flush } = deps;
  const everyMs = Math.max(50, Math.min(500, reportAfterMs / 4));
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const beat = setInterval(() => Atomics.add(beats, 0, 1), everyMs);
  beat.unref();

  function stalled({ stalledMs, where, exiting }: Stall): void {
    const { certain, calls } = running.suspects();
    const [only] = certain || calls.length === 1 ? calls : [];
    emit({
      event: 'loop.stalled',
      stalled_ms: Math.round(stalledMs),
      subscription: only?.handler ?? null,
      message_type: only?.message_type ?? null,
      message_id: only?.message_id ?? null,
      suspects: calls.map(({ handler, message_id }) => `${handler} ${message_id}`),
      where,
      exiting,
    });
    flush();
    // Not process.exit: what listens to that would run in the middle of what is paused here.
    if (exiting) (process as unknown as { reallyExit(code: number): never }).reallyExit(internalFault);
  }

  const beatsIn = (ms: Millis) => Math.max(1, Math.round(ms / everyMs));
  Object.assign(globalThis, { [place]: stalled });
  const exitAfter = exitAfterMs === null ? 0 : Math.max(beatsIn(reportAfterMs) + 1, beatsIn(exitAfterMs));
  const workerData = { beats, everyMs, reportAfter: beatsIn(reportAfterMs), exitAfter };
  const thread = new Worker(watchdogThread, { eval: true, workerData, execArgv: [], stdout: false });
  thread.unref();
  // Without it nothing is watched, and all else goes on.
  thread.on('error', () => undefined);
  return {
    async close() {
      clearInterval(beat);
      await thread.terminate();
    },
  };
}
