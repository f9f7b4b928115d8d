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
import { createHealthServer } from '../telemetry/health-server.ts';
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
import { stopWhenIdle } from './until-idle.ts';
import { version } from './version.ts';
import { startWatchdog } from './watchdog.ts';

export interface ServeOptions {
  readonly config: Config;
  readonly warnings: readonly string[];
  readonly parts: readonly Part[];
  readonly untilIdle: boolean;
  readonly dryRun: boolean;
  /** What is printed in place of the banner; null: the banner. */
  readonly show?: ((plan: readonly PlanRow[]) => string) | null;
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
  const { config, warnings, parts, untilIdle, dryRun, show = null, greeting } = options;
  const { health, ingress, drainTimeoutMs, lanes, maxLingeringHandlers, stall } = config.server;
  const clock = systemClock;
  const startedAt = clock.monotonic();
  const lines = createLineWriter(
    { fd: 2, maxHeld: maxLogHeld },
    { clock, onDropped: (count) => emit({ event: 'log.lines_dropped', count }) },
  );
  const terminal = { isTty: process.stderr.isTTY === true, columns: process.stderr.columns || 100 };
  const color = terminal.isTty && !io.environment['NO_COLOR'];
  const log = createLog(config.logging, { lines, clock, color, ...terminal });
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
    catalog,
    lingering,
    running,
    handlerLog: log.handlerLog,
  });
  const servers: HttpServer[] = [];
  const permitExit = faults.forbidExit();
  try {
    emit({ event: 'daemon.started', domain: config.domain.name, version, pid: process.pid });
    const unmatched = unmatchedSubscriptions(
      config.server.subscriptions,
      handlers.flatMap(({ name, aliases }) => [name, ...aliases]),
    );
    for (const warning of [...warnings, ...ofHandlers, ...unmatched]) emit({ event: 'config.warned', warning });
    if (config.withoutEffect.length > 0) emit({ event: 'config.key_without_effect', keys: config.withoutEffect });
    if (health.enabled && !dryRun) servers.push(createHealthServer(health, { state, metrics, version, clock, emit }));
    const ports = await startAll(servers);
    await worker.connect(shutdown.soft);
    const width = io.isTty ? io.width : Number.POSITIVE_INFINITY;
    io.out(show?.(worker.plan) ?? banner(worker.plan, { width, healthPort: ports[0] ?? null, health }));
    if (dryRun) return 0;
    const receiver = ingress.enabled
      ? createIngressServer(ingress, { accept: createAccept(config, providers, catalog, worker.handleNow), emit })
      : null;
    const ingressPort = receiver === null ? null : await receiver.start();
    if (receiver !== null) servers.push(receiver);
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
    const watchdog = startWatchdog(stall, { emit, running, flush });
    const working = worker.run({ soft, hard: hard.signal });
    const ready = parts.includes('subscriptions') ? joined.reached(joinsIn(worker.plan)) : Promise.resolve();
    void ready.then(() => emit({ event: 'daemon.ready', duration_ms: Math.round(clock.monotonic() - startedAt) }));
    if (untilIdle) void ready.then(() => stopWhenIdle(worker.watched, idle, clock));
    await working.finally(() => watchdog.close());
    emit({ event: 'daemon.stopped', duration_ms: Math.round(clock.monotonic() - startedAt) });
    return faults.signal.aborted ? internalFault : 0;
  } finally {
    permitExit();
    await Promise.all(servers.map((server) => server.stop(AbortSignal.timeout(500))));
    await providers.close();
    await log.flush(lastWordsMs);
  }
}

async function startAll(servers: readonly HttpServer[]): Promise<readonly number[]> {
  const ports: number[] = [];
  for (const server of servers) ports.push(await server.start());
  return ports;
}

/** How many groups are joined: that of each handler, for its partitions once more, and each category of the event store. */
const joinsIn = (plan: Worker['plan']): number =>
  plan.reduce((sum, { settings, streams, partitions }) => {
    if (settings.type === 'event_store') return sum + streams.length;
    return sum + (partitions === null ? 1 : 2);
  }, 0);

/** Resolves when so many subscriptions have joined their groups, or stand by: from then on nothing that is sent is missed. */
function countJoined(): { readonly emit: Emit; reached(count: number): Promise<void> } {
  let joined = 0;
  let waiting: { readonly count: number; readonly resolve: () => void } | null = null;
  const standing = new Set<string>();
  return {
    emit(fact) {
      if (fact.event !== 'subscription.started' && fact.event !== 'subscription.standing_by') return;
      const key = `${fact.subscription} ${fact.stream}`;
      if (standing.has(key)) return;
      if (fact.event === 'subscription.standing_by') standing.add(key);
      joined += 1;
      if (waiting !== null && joined >= waiting.count) waiting.resolve();
    },
    reached: (count) =>
      joined >= count
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting = { count, resolve };
          }),
  };
}

const reasonOf = ({ reason }: AbortSignal): string => (typeof reason === 'string' ? reason : toError(reason).message);
