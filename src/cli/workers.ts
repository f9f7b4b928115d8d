import type { Worker } from 'node:cluster';
import cluster from 'node:cluster';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Config } from '../config/config.ts';
import type { BackoffPolicy } from '../runtime/backoff.ts';
import { backoff } from '../runtime/backoff.ts';
import type { Millis } from '../runtime/clock.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Asker } from '../telemetry/asker.ts';
import { createAsker } from '../telemetry/asker.ts';
import type { MemberHealth } from '../telemetry/combined-health.ts';
import { combinedHealth } from '../telemetry/combined-health.ts';
import type { AskHealth } from '../telemetry/health-answers.ts';
import { inJson } from '../telemetry/health-answers.ts';
import { createHealthServer } from '../telemetry/health-server.ts';
import { createLineWriter } from '../telemetry/line-writer.ts';
import { createLog } from '../telemetry/log.ts';
import type { Io } from './io.ts';
import type { FromMember, MemberFacts } from './member.ts';
import { stalledFd } from './member.ts';
import { memberVariable } from './member-variable.ts';
import { version } from './version.ts';
import type { Stalled } from './watchdog.ts';
import { createWorkersMetrics } from './workers-metrics.ts';

interface Slot {
  readonly number: number;
  worker: Worker | null;
  asker: Asker | null;
  state: MemberHealth['state'];
  restarts: number;
  /** In a row, without having been ready for a while. */
  failures: number;
  readyAt: Millis | null;
  everReady: boolean;
  heldBy: string | null;
  /** Looks in a row at which it was not well. */
  unwell: number;
}

const restartBackoff: BackoffPolicy = { baseMs: 500, factor: 2, maxMs: 30_000, jitter: 0.25 };
/** Ready for so long: its next fault counts as the first. */
const soundAfterMs: Millis = 60_000;
const lookEveryMs: Millis = 5_000;
/** Unwell at so many looks in a row: its own means have failed. */
const unwellLooks = 3;
/** What cannot be mended by another try, at the first start. */
const hopeless: ReadonlySet<number | null> = new Set([2, 69, 78]);
const maxLogHeld = 4 * 1024 * 1024;

/**
 * Runs the same command line in `count` processes, restarts those that crash with a growing rest, and is asked for the
 * health and the metrics of all. Signals are passed on; they drain side by side. Resolves with the exit code: that of a
 * start that cannot succeed, or else the greatest of theirs.
 */
export async function runWorkers(config: Config, count: number, io: Io, shutdown: Shutdown): Promise<number> {
  const { health, drainTimeoutMs, stall } = config.server;
  const clock = systemClock;
  const lines = createLineWriter({ fd: 2, maxHeld: maxLogHeld }, { clock, onDropped: () => undefined });
  const terminal = { isTty: process.stderr.isTTY === true, columns: process.stderr.columns || 100 };
  const color = terminal.isTty && !io.environment['NO_COLOR'];
  const { emit, flush } = createLog(config.logging, { lines, clock, color, ...terminal });
  const metrics = createWorkersMetrics(() => lines.dropped());
  const slots = Array.from({ length: count }, (_, index): Slot => ({ ...fresh, number: index + 1 }));
  const over = new AbortController();
  let exitCode = 0;
  let healthPort: number | null = null;

  const ask: AskHealth = async (path) => {
    if (path === '/version') return inJson({ status: 200, body: { name: 'domaind', version } });
    if (path === '/metrics') return metrics.answer(slots);
    return combinedHealth(path, await Promise.all(slots.map(async (slot) => healthOf(slot, path))));
  };
  const server = health.enabled ? createHealthServer(health, { ask, emit }) : null;

  function start(slot: Slot): void {
    const facts: MemberFacts = {
      number: slot.number,
      speaks: slot.number === 1 && slot.restarts === 0,
      healthPort,
      terminal,
    };
    const out = facts.speaks ? 'inherit' : 'ignore';
    cluster.setupPrimary({ args: process.argv.slice(2), stdio: ['ignore', out, 'pipe', 'ipc', 'pipe'] });
    const worker = cluster.fork({ [memberVariable]: JSON.stringify(facts) });
    const pid = worker.process.pid ?? 0;
    const asker = createAsker({ clock, send: (question) => void (worker.isConnected() && worker.send(question)) });
    Object.assign(slot, { worker, asker, state: 'starting', readyAt: null, heldBy: null, unwell: 0 });
    emit({ event: 'worker.started', worker: slot.number, pid });
    if (worker.process.stderr !== null)
      createInterface({ input: worker.process.stderr }).on('line', (line) => void lines.write(`${line}\n`));
    const stalls = worker.process.stdio[stalledFd] as Readable | null | undefined;
    if (stalls)
      createInterface({ input: stalls }).on('line', (line) => {
        slot.heldBy = (JSON.parse(line) as Stalled).handler;
      });
    worker.on('error', () => undefined);
    worker.on('message', (message: FromMember) => {
      if (message.kind === 'reply') return asker.heard(message);
      Object.assign(slot, { state: 'ready', readyAt: clock.monotonic(), everReady: true });
    });
    worker.process.once('close', (code, signal) => ended(slot, pid, code, signal));
  }

  function ended(slot: Slot, pid: number, code: number | null, signal: string | null): void {
    metrics.ended(slot.number);
    const { readyAt, everReady } = slot;
    const sound = readyAt !== null && clock.monotonic() - readyAt >= soundAfterMs;
    slot.failures = sound ? 1 : slot.failures + 1;
    Object.assign(slot, { worker: null, asker: null });
    const stopping = shutdown.soft.aborted || over.signal.aborted;
    const giveUp = !stopping && !everReady && hopeless.has(code);
    const again = !stopping && !giveUp && code !== 0;
    const retry_in_ms = again ? backoff(restartBackoff, slot.failures, systemRandom) : null;
    if (code !== 0 || signal !== null)
      emit({ event: 'worker.ended', worker: slot.number, pid, code, signal, retry_in_ms });
    if (!again) exitCode = Math.max(exitCode, code ?? 70);
    slot.state = again ? 'restarting' : 'ended';
    if (giveUp) tellAll('SIGTERM');
    if (giveUp || slots.every(({ state }) => state === 'ended')) over.abort();
    if (retry_in_ms !== null) void restart(slot, retry_in_ms);
  }

  async function restart(slot: Slot, inMs: Millis): Promise<void> {
    await clock.sleep(inMs, AbortSignal.any([shutdown.soft, over.signal]));
    if (shutdown.soft.aborted || over.signal.aborted) {
      slot.state = 'ended';
      if (slots.every(({ state }) => state === 'ended')) over.abort();
      return;
    }
    slot.restarts += 1;
    start(slot);
  }

  const tellAll = (signal: NodeJS.Signals) => {
    for (const { worker } of slots) worker?.process.kill(signal);
  };

  /** One that does not mend itself is told to stop, and made to when it does not hear. */
  async function look(): Promise<void> {
    while (!over.signal.aborted) {
      await clock.sleep(lookEveryMs, over.signal);
      await Promise.all(slots.map(lookAt));
    }
  }

  async function lookAt(slot: Slot): Promise<void> {
    const { worker, asker, state } = slot;
    if (worker === null || asker === null || state !== 'ready' || shutdown.soft.aborted) return;
    const answer = await asker.ask('/livez', false);
    slot.unwell = answer?.status === 200 ? 0 : slot.unwell + 1;
    // One whose event loop stands still ends by itself, where it is to: it is given the time.
    const patience =
      answer === null ? unwellLooks + (stall.exitAfterMs ?? Number.POSITIVE_INFINITY) / lookEveryMs : unwellLooks;
    if (slot.unwell < patience || slot.worker !== worker) return;
    const said = answer === null ? 'silent' : 'stalled';
    emit({ event: 'worker.stuck', worker: slot.number, pid: worker.process.pid ?? 0, state: said });
    slot.unwell = Number.NEGATIVE_INFINITY;
    worker.process.kill('SIGTERM');
    await clock.sleep(drainTimeoutMs + 2_000, over.signal);
    if (slot.worker === worker) worker.process.kill('SIGKILL');
  }

  for (const warning of unshared(config)) emit({ event: 'config.warned', warning });
  try {
    healthPort = (await server?.start()) ?? null;
    shutdown.soft.addEventListener('abort', () => tellAll('SIGTERM'));
    shutdown.hard.addEventListener('abort', () => tellAll('SIGTERM'));
    for (const slot of slots) start(slot);
    void look();
    await new Promise<void>((resolve) => over.signal.addEventListener('abort', () => resolve()));
    while (slots.some(({ worker }) => worker !== null)) await clock.sleep(20, shutdown.hard);
    return exitCode;
  } finally {
    await server?.stop(AbortSignal.timeout(500));
    await flush(1_000);
  }
}

/** What each process has for itself alone. */
const unshared = ({ databases, brokers }: Config): readonly string[] => [
  ...[...databases].flatMap(([name, { provider }]) => (provider === 'memory' ? [alone(`databases.${name}`)] : [])),
  ...[...brokers].flatMap(([name, { provider }]) => (provider === 'inline' ? [alone(`brokers.${name}`)] : [])),
];

const alone = (table: string) => `[${table}] is in memory: each of several worker processes has its own`;

const fresh: Omit<Slot, 'number'> = {
  worker: null,
  asker: null,
  state: 'starting',
  restarts: 0,
  failures: 0,
  readyAt: null,
  everReady: false,
  heldBy: null,
  unwell: 0,
};

const healthOf = async (slot: Slot, path: Parameters<Asker['ask']>[0]): Promise<MemberHealth> => {
  const answer = (await slot.asker?.ask(path, false)) ?? null;
  const { number, state, restarts, heldBy } = slot;
  return { number, state, restarts, heldBy, answer };
};
