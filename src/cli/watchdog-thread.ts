import { Session } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';
import type { HttpConfig } from '../config/config.ts';
import { systemClock } from '../runtime/clock.ts';
import { DomaindError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { Question, Reply } from '../telemetry/asker.ts';
import { createAsker } from '../telemetry/asker.ts';
import type { TelemetryEvent } from '../telemetry/event.ts';
import { createHealthServer } from '../telemetry/health-server.ts';
import type { Standstill } from '../telemetry/stand-in.ts';
import { standIn } from '../telemetry/stand-in.ts';

/** What the watchdog's thread is given. */
export interface WatchdogData {
  /** One number, which the main thread increases at every beat. */
  readonly beats: Int32Array;
  readonly everyMs: number;
  /** In beats that are missing; 0: never. */
  readonly reportAfter: number;
  readonly exitAfter: number;
  /** Where it listens for probes; null: nowhere. */
  readonly health: Pick<HttpConfig, 'host' | 'port'> | null;
}

/** What the thread says. */
export type FromWatchdog =
  | Question
  | { readonly kind: 'fact'; readonly fact: TelemetryEvent }
  | { readonly kind: 'ready'; readonly port: number | null }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'stopped' };

/** What it is told. */
export type ToWatchdog = Reply | { readonly kind: 'stop' };

/** Native code that never comes back does not even pause: so long after the process should have ended, it is killed. */
const lastGraceMs = 5_000;

/**
 * The watchdog's own thread. It looks at the beats of the main thread. Where they stop, it pauses the main thread in the
 * middle of what it does, by the debugger's protocol, which needs no port, and has it say where it is. Measured: an
 * endless loop and a regular expression that backtracks for minutes are both found and left. Probes are answered here,
 * so that they are answered whatever the main thread does.
 */
async function watch({ beats, everyMs, reportAfter, exitAfter, health }: WatchdogData): Promise<void> {
  let last = -1;
  let missing = 0;
  let standstill: Standstill | null = null;

  setInterval(() => {
    const now = Atomics.load(beats, 0);
    missing = now === last ? missing + 1 : 0;
    last = now;
    if (missing === 0) standstill = null;
    else if (exitAfter > 0 && missing === exitAfter) look(true);
    else if (missing === reportAfter) look(false);
    else if (exitAfter > 0 && missing > exitAfter + lastGraceMs / everyMs) process.kill(process.pid, 'SIGKILL');
  }, everyMs);

  function look(exiting: boolean): void {
    const stalledMs = missing * everyMs;
    standstill = { handler: null, message_type: null, ...standstill, stalledMs };
    askWhere(stalledMs, exiting, (said) => {
      if (standstill !== null) standstill = { ...standstill, ...said };
    });
  }

  const say = (message: FromWatchdog) => parentPort?.postMessage(message);
  const asker = createAsker({ clock: systemClock, send: say });
  const ask = standIn({
    asker,
    standstill: () => (standstill === null ? null : { ...standstill, stalledMs: missing * everyMs }),
  });
  const emit = (fact: TelemetryEvent) => say({ kind: 'fact', fact });
  const server = health === null ? null : createHealthServer(health, { ask, emit });
  parentPort?.on('message', async (message: ToWatchdog) => {
    if (message.kind === 'reply') return asker.heard(message);
    await server?.stop(AbortSignal.timeout(500));
    say({ kind: 'stopped' });
  });
  try {
    say({ kind: 'ready', port: (await server?.start()) ?? null });
  } catch (thrown) {
    const error = toError(thrown);
    say({
      kind: 'refused',
      code: error instanceof DomaindError ? error.code : 'cannot_listen',
      message: error.message,
    });
  }
}

/** Has the main thread, in the middle of what it does, call `domaind.stalled` with the place; what that answers. */
function askWhere(stalledMs: number, exiting: boolean, answered: (said: Partial<Standstill>) => void): void {
  const session = new Session();
  const files = new Map<string, string>();
  session.connectToMainThread();
  session.on('Debugger.scriptParsed', ({ params }) => void files.set(params.scriptId, params.url));
  session.on('Debugger.paused', ({ params: { callFrames } }) => {
    const where = callFrames
      .slice(0, 8)
      .map(
        ({ functionName, location: { scriptId, lineNumber, columnNumber } }) =>
          `${functionName || '<anonymous>'} ${files.get(scriptId) ?? '?'}:${lineNumber + 1}:${(columnNumber ?? 0) + 1}`,
      );
    const callFrameId = callFrames[0]?.callFrameId ?? '';
    const expression = `globalThis[Symbol.for('domaind.stalled')]?.(${JSON.stringify({ stalledMs, where, exiting })})`;
    session.post('Debugger.evaluateOnCallFrame', { callFrameId, expression, returnByValue: true }, (error, said) => {
      session.disconnect();
      if (error === null) answered((said?.result?.value as Partial<Standstill> | undefined) ?? {});
    });
  });
  session.post('Debugger.enable', () => session.post('Debugger.pause'));
}

await watch(workerData as WatchdogData);
