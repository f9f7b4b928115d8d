import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { loadConfig } from '../config/load-config.ts';
import { openProviders } from '../providers.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import { toFailure } from '../runtime/failure.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';
import { createHealthState } from '../telemetry/health.ts';
import { observedLoops } from '../telemetry/observed-loops.ts';
import type { WorkerDeps } from '../worker/deps.ts';
import { loadDomain } from '../worker/load-domain.ts';
import type { PlanRow } from '../worker/plan.ts';
import { planFor } from '../worker/plan.ts';
import { rebuildProjection } from '../worker/rebuild-projection.ts';
import { parseArguments } from './arguments.ts';
import type { Io } from './io.ts';
import { createProgress } from './progress.ts';
import { readerIn } from './projection-status.ts';
import { span } from './spans.ts';

/** `domaind projection rebuild NAME`. Answers 1 where messages failed, or it was stopped before the end. */
export async function rebuild(argv: readonly string[], io: Io, shutdown: Shutdown, usage: string): Promise<number> {
  const flags = { pause: 'boolean', keep: 'boolean', json: 'boolean', debug: 'boolean' } as const;
  const given = parseArguments(argv, { config: 'string', env: 'string', ...flags }, usage);
  const [name, ...more] = given.positionals;
  if (name === undefined) throw new UsageError(`a NAME is needed\nusage: ${usage}`);
  if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
  const { config } = await loadConfig({
    path: given.text('config'),
    env: given.text('env'),
    cwd: io.cwd,
    environment: io.environment,
  });
  const { handlers, catalog } = await loadDomain(config, { clock: systemClock });
  const row = readerIn(planFor(config, handlers), name);
  refuseOthers(row, given.flag('keep'));
  if (config.eventStore.provider === 'memory' || config.databases.get(row.handler.database)?.provider === 'memory') {
    const why = 'a read model or an event store in memory lives inside the daemon: it begins anew with it';
    throw new MisconfiguredError('in_memory', why);
  }
  const tally = createTally(io, name);
  const loopOptions = observedLoops(systemClock, systemRandom, tally.emit);
  const deps: WorkerDeps = {
    id: `rebuild-${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`,
    clock: systemClock,
    random: systemRandom,
    emit: tally.emit,
    loopOptions,
    state: createHealthState(),
    catalog,
    handlerLog: () => silent,
  };
  const providers = openProviders(config, { clock: systemClock, random: systemRandom, emit: tally.emit, loopOptions });
  try {
    const options = { pause: given.flag('pause'), onBegin: tally.begin, onHandled: tally.handled };
    await rebuildProjection(withReset(row, given.flag('keep')), config, providers, deps, options, shutdown);
  } finally {
    tally.end();
    await providers.close();
  }
  const { handled, failed, seconds } = tally.result();
  const rate = seconds > 0 ? Math.round(handled / seconds) : handled;
  if (given.flag('json')) io.out(JSON.stringify({ handler: name, handled, failed, seconds, per_second: rate }));
  else io.out(`${name}: ${handled} messages in ${span(seconds * 1_000)}, ${rate} a second`);
  if (failed > 0)
    io.err(`${failed} failed: the daemon tries them again; domaind dlq list shows those that it gives up`);
  const stopped = shutdown.soft.aborted;
  if (stopped) io.err('stopped before the end: the daemon goes on from here');
  return failed > 0 || stopped ? 1 : 0;
}

function refuseOthers({ handler }: PlanRow, keep: boolean): void {
  if (handler.kind !== 'projector') {
    throw new UsageError(`${handler.name} is no projector: what it does cannot be undone, so it is not done again`);
  }
  if (handler.reset === null && !keep) {
    const mend = 'give it a function `reset` that empties its read model';
    throw new UsageError(`${handler.name}: ${mend}, or say --keep to read everything again onto what is there`);
  }
}

/** With `keep`, what is there stays. */
const withReset = (row: PlanRow, keep: boolean): PlanRow =>
  keep ? { ...row, handler: { ...row.handler, reset: null } } : row;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Counts what is handled, and shows how far it has come and how fast. */
function createTally(io: Io, name: string) {
  const progress = createProgress(`${name}:`, io);
  let total: number | null = null;
  let beganAt = systemClock.monotonic();
  let endedAt: number | null = null;
  let shownAt = 0;
  let handled = 0;
  const failures = new Set<string>();
  const seconds = () => ((endedAt ?? systemClock.monotonic()) - beganAt) / 1_000;

  function show(): void {
    const now = systemClock.monotonic();
    if (total === null || now - shownAt < 100) return;
    shownAt = now;
    progress.at(Math.min(handled, total), total, `${Math.round(handled / Math.max(0.001, seconds()))} a second`);
  }

  const emit: Emit = (fact) => {
    if (fact.event === 'delivery.handled') {
      handled += 1;
      failures.delete(fact.entry_id);
      show();
    } else if (fact.event === 'delivery.retried' || fact.event === 'delivery.dead_lettered') {
      if (failures.size < 10) io.err(`${fact.message_type} ${fact.message_id}: ${toFailure(fact.err).message}`);
      failures.add(fact.entry_id);
    } else if (fact.event === 'gap.waiting') {
      io.err(`position ${fact.position} is yet to be committed: waiting for backend ${fact.pid ?? 'unknown'}`);
    } else if (fact.event === 'loop.failed' && fact.failures === 1) {
      io.err(`${toFailure(fact.err).message}; trying again`);
    }
  };
  return {
    emit,
    handled(count: number) {
      handled += count;
      show();
    },
    begin(count: number) {
      total = count;
      beganAt = systemClock.monotonic();
      progress.at(0, total);
    },
    end() {
      endedAt = systemClock.monotonic();
      progress.end();
    },
    result: () => ({ handled, failed: failures.size, seconds: seconds() }),
  };
}
