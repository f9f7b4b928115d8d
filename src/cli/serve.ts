import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import type { Config } from '../config/config.ts';
import { unmatchedSubscriptions } from '../config/resolve.ts';
import { createLingering } from '../handler/lingering.ts';
import { createRunning } from '../handler/running.ts';
import { openProviders } from '../providers.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { toError } from '../runtime/failure.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';
import { createEmit } from '../telemetry/fan-out.ts';
import { createHealthState, followEvents } from '../telemetry/health.ts';
import { createHealthAnswers } from '../telemetry/health-answers.ts';
import type { HttpServer } from '../telemetry/http-server.ts';
import { createIngressServer } from '../telemetry/ingress.ts';
import { createLineWriter } from '../telemetry/line-writer.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { collectGauges } from '../telemetry/monitor.ts';
import { observedLoops } from '../telemetry/observed-loops.ts';
import { loadDomain } from '../worker/load-domain.ts';
import type { PlanRow } from '../worker/plan.ts';
import type { Part, Worker } from '../worker.ts';
import { createWorker } from '../worker.ts';
import { createAccept } from './accept.ts';
import { banner } from './banner.ts';
import { followFaults, internalFault } from './faults.ts';
import type { Io } from './io.ts';
import { countJoined, joinsIn } from './joined.ts';
import type { Member } from './member.ts';
import { stopWhenIdle } from './until-idle.ts';
import { version } from './version.ts';
import type { Stalled } from './watchdog.ts';
import { startWatchdog } from './watchdog.ts';

export interface ServeOptions {
  readonly config: Config;
  readonly warnings: readonly string[];
  readonly parts: readonly Part[];
  readonly untilIdle: boolean;
  readonly dryRun: boolean;
  /** What is printed in place of the banner; null: the banner. */
  readonly show?: ((plan: readonly PlanRow[]) => string) | null;
  /** Where this process is one of several. */
  readonly member?: Member | null;
  /** What is said below the banner, given the port of the ingress or null. */
  readonly greeting: (worker: Worker, ingressPort: number | null) => readonly string[];
}

const maxLogHeld = 4 * 1024 * 1024;
const lastWordsMs = 1_000;

/**
 * Runs the daemon until `shutdown.soft` and its drain; the exit code. Throws, before any work is taken, ConfigError
 * and MisconfiguredError for what must be mended, and UnavailableError when something needed stays away too long.
 */
export async function serve(options: ServeOptions, io: Io, shutdown: Shutdown): Promise<number> {
  const { config, warnings, parts, untilIdle, dryRun, show = null, member = null, greeting } = options;
  const { health, ingress, drainTimeoutMs, lanes, maxLingeringHandlers, stall } = config.server;
  const clock = systemClock;
  const startedAt = clock.monotonic();
  const lines = createLineWriter(
    { fd: 2, maxHeld: maxLogHeld },
    { clock, onDropped: (count) => emit({ event: 'log.lines_dropped', count }) },
  );
  const own = { isTty: process.stderr.isTTY === true, columns: process.stderr.columns || 100 };
  const terminal = member?.terminal ?? own;
  const color = terminal.isTty && !io.environment['NO_COLOR'];
  const log = createLog(config.logging, { lines, clock, color, worker: member?.number ?? null, ...terminal });
  const state = createHealthState();
  const metrics = createMetrics(
    { version, laneSuffix: lanes?.suffix ?? null },
    { clock, collect: () => collectGauges(worker.watched), onCollectError: () => undefined },
  );
  const joined = countJoined();
  const emit: Emit = createEmit([log.emit, metrics.emit, followEvents(state, clock), joined.emit]);
  const flush = () => log.flushSync();
  const running = createRunning();
  const faults = followFaults({ emit, running, flush });
  const onTooMany = (count: number) => faults.stop(`${count} handlers that were cut short still run`);
  const lingering = createLingering(maxLingeringHandlers, { emit, onTooMany });
  // However it ends: what was said until then is not lost.
  process.once('exit', flush);
  const { handlers, catalog, warnings: ofHandlers } = await loadDomain(config, { clock });
  const id = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const loopOptions = observedLoops(clock, systemRandom, emit);
  const providers = openProviders(config, { clock, random: systemRandom, emit, loopOptions });
  const worker = createWorker(config, handlers, parts, providers, {
    id,
    clock,
    random: systemRandom,
    emit,
    loopOptions,
    state,
    onHopeless: faults.stop,
    catalog,
    lingering,
    running,
    handlerLog: log.handlerLog,
  });
  const ask = createHealthAnswers({ state, metrics, version, clock });
  member?.answer(ask);
  const onStalled = (stalled: Stalled) => member?.sayStalled(stalled);
  const watchdog = dryRun
    ? null
    : startWatchdog(
        { ...stall, health: health.enabled && member === null ? health : null },
        { emit, running, flush, ask, onStalled },
      );
  let receiver: HttpServer | null = null;
  const permitExit = faults.forbidExit();
  try {
    emit({ event: 'daemon.started', domain: config.domain.name, version, pid: process.pid });
    const unmatched = unmatchedSubscriptions(
      config.server.subscriptions,
      handlers.flatMap(({ name, aliases }) => [name, ...aliases]),
    );
    for (const warning of [...warnings, ...ofHandlers, ...unmatched]) emit({ event: 'config.warned', warning });
    if (config.withoutEffect.length > 0) emit({ event: 'config.key_without_effect', keys: config.withoutEffect });
    const [listening] = await Promise.all([watchdog?.listening ?? null, worker.connect(shutdown.soft)]);
    const healthPort = member === null ? listening : member.healthPort;
    const width = io.isTty ? io.width : Number.POSITIVE_INFINITY;
    if (member?.speaks !== false) io.out(show?.(worker.plan) ?? banner(worker.plan, { width, healthPort, health }));
    if (dryRun) return 0;
    if (ingress.enabled) {
      const accept = createAccept(config, providers, catalog, worker.handleNow);
      receiver = createIngressServer(ingress, { accept, emit });
    }
    const ingressPort = (await receiver?.start()) ?? null;
    for (const line of greeting(worker, ingressPort)) io.out(line);

    const idle = new AbortController();
    const soft = AbortSignal.any([shutdown.soft, idle.signal, faults.signal]);
    const hard = new AbortController();
    // Every loop of every subscription listens: more than the ten that Node takes for a leak.
    setMaxListeners(0, soft, hard.signal);
    soft.addEventListener('abort', () => {
      emit({ event: 'daemon.draining', reason: reasonOf(soft), grace_ms: drainTimeoutMs });
      const cut = AbortSignal.any([shutdown.hard, AbortSignal.timeout(drainTimeoutMs)]);
      cut.addEventListener('abort', () => {
        emit({ event: 'daemon.drain_expired', reason: reasonOf(cut) });
        hard.abort();
      });
    });
    const working = worker.run({ soft, hard: hard.signal });
    const ready = parts.includes('subscriptions') ? joined.reached(joinsIn(worker.plan)) : Promise.resolve();
    void ready.then(() => {
      emit({ event: 'daemon.ready', duration_ms: Math.round(clock.monotonic() - startedAt) });
      member?.say({ kind: 'ready' });
    });
    if (untilIdle) void ready.then(() => stopWhenIdle(worker.watched, idle, clock));
    await working;
    emit({ event: 'daemon.stopped', duration_ms: Math.round(clock.monotonic() - startedAt) });
    return faults.signal.aborted ? internalFault : 0;
  } finally {
    permitExit();
    await Promise.all([receiver?.stop(AbortSignal.timeout(500)), watchdog?.close()]);
    await providers.close();
    await log.flush(lastWordsMs);
  }
}

const reasonOf = ({ reason }: AbortSignal): string => (typeof reason === 'string' ? reason : toError(reason).message);
