import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { HttpConfig } from '../config/config.ts';
import type { Running } from '../handler/running.ts';
import type { Millis } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { Emit } from '../telemetry/event.ts';
import type { AskHealth } from '../telemetry/health-answers.ts';
import { refusal } from '../telemetry/http-server.ts';
import { internalFault } from './faults.ts';
import type { FromWatchdog, ToWatchdog, WatchdogData } from './watchdog-thread.ts';

export interface WatchdogConfig {
  /** The event loop has stood still for so long: it is said where. */
  readonly reportAfterMs: Millis;
  /** So long that leases and heartbeats are lost: the process ends with 70. Null: it goes on. */
  readonly exitAfterMs: Millis | null;
  /** Where probes are answered; null: nowhere. */
  readonly health: Pick<HttpConfig, 'host' | 'port'> | null;
}

export interface WatchdogDeps {
  readonly emit: Emit;
  readonly running: Running;
  /** What probes are answered with, while this thread can. */
  readonly ask: AskHealth;
  /** Writes out what was said so far. */
  readonly flush: () => void;
  /** Told of each standstill beside the log. */
  readonly onStalled?: (stalled: Stalled) => void;
}

/** Whose code holds the event loop, as far as it is known. */
export interface Stalled {
  readonly handler: string | null;
  readonly message_type: string | null;
}

export interface Watchdog {
  /** The port of the health server, null where there is none. Throws MisconfiguredError where it cannot listen. */
  readonly listening: Promise<number | null>;
  close(): Promise<void>;
}

interface Stall {
  readonly stalledMs: Millis;
  /** Frames, innermost first: `name file:line:column`. */
  readonly where: readonly string[];
  readonly exiting: boolean;
}

/** Called on this thread by the watchdog's, through the debugger. */
const place = Symbol.for('domaind.stalled');
const closeWithinMs: Millis = 1_000;

/**
 * Watches the event loop from another thread, and answers probes there: a handler that never gives way stops everything,
 * its own deadline included, and only from outside can be told which it is. Costs a beat every half second and a thread
 * that sleeps.
 */
export function startWatchdog(config: WatchdogConfig, deps: WatchdogDeps): Watchdog {
  const { reportAfterMs, exitAfterMs, health } = config;
  const { emit, running, flush, ask, onStalled } = deps;
  const everyMs = Math.max(50, Math.min(500, reportAfterMs / 4));
  const beats = new Int32Array(new SharedArrayBuffer(4));
  // It keeps the process alive too: one that waits for a promise alone would end with 13, in the middle of its drain.
  const beat = setInterval(() => Atomics.add(beats, 0, 1), everyMs);

  function stalled({ stalledMs, where, exiting }: Stall): Stalled {
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
    const whose = {
      handler: only?.handler ?? ([...new Set(calls.map(({ handler }) => handler))].join(', ') || null),
      message_type: only?.message_type ?? null,
    };
    onStalled?.(whose);
    flush();
    // Not process.exit: what listens to that would run in the middle of what is paused here.
    if (exiting) (process as unknown as { reallyExit(code: number): never }).reallyExit(internalFault);
    return whose;
  }

  const beatsIn = (ms: Millis) => Math.max(1, Math.round(ms / everyMs));
  Object.assign(globalThis, { [place]: stalled });
  const exitAfter = exitAfterMs === null ? 0 : Math.max(beatsIn(reportAfterMs) + 1, beatsIn(exitAfterMs));
  const thread = threadOf({ beats, everyMs, reportAfter: beatsIn(reportAfterMs), exitAfter, health });
  const tell = (message: ToWatchdog) => thread.postMessage(message);
  const listening = new Promise<number | null>((resolve, reject) => {
    // Without it nothing is watched, and all else goes on, where no probe needs it.
    thread.on('error', (error) => (health === null ? resolve(null) : reject(error)));
    thread.on('message', (message: FromWatchdog) => {
      switch (message.kind) {
        case 'ready':
          thread.unref();
          return resolve(message.port);
        case 'refused':
          return reject(new MisconfiguredError(message.code, message.message));
        case 'fact':
          return emit(message.fact);
        case 'stopped':
          return;
        case 'ask':
          return void ask(message.path)
            .catch(() => refusal(500, 'internal', 'the request failed'))
            .then((answer) => tell({ kind: 'reply', id: message.id, answer }));
      }
    });
  });
  listening.catch(() => undefined);

  return {
    listening,
    async close() {
      const stopped = once(thread, 'message', { signal: AbortSignal.timeout(closeWithinMs) }).catch(() => undefined);
      tell({ kind: 'stop' });
      await stopped;
      await thread.terminate();
      clearInterval(beat);
    },
  };
}

const fromSource = import.meta.url.endsWith('.ts');

/** Threads do not take a loader for their first file from the command line, so they begin with text that brings it along. */
const bootstrap = `
const { workerData: { loader, entry } } = require('node:worker_threads');
(loader === null ? Promise.resolve() : import(loader).then(({ register }) => register())).then(() => import(entry));
`;

function threadOf(given: WatchdogData): Worker {
  const entry = new URL(`./watchdog-thread${fromSource ? '.ts' : '.js'}`, import.meta.url).href;
  const loader = fromSource ? import.meta.resolve('tsx/esm/api') : null;
  return new Worker(bootstrap, { eval: true, workerData: { ...given, loader, entry }, execArgv: [], stdout: false });
}
