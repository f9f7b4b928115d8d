import { configFromTable } from '../../src/config/from-table.ts';
import type { MemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import { givenHandlers } from '../../src/handler/given-handlers.ts';
import type { MemoryDatabase } from '../../src/handler/memory-unit-of-work.ts';
import type { MemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import type { Providers } from '../../src/providers.ts';
import { openProviders } from '../../src/providers.ts';
import { isQuiet } from '../../src/telemetry/monitor.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import { planFor } from '../../src/worker/plan.ts';
import { watchedBy } from '../../src/worker/watched.ts';
import { chanceOf } from './chance.ts';
import { plannedFaults } from './faults.ts';
import { categories, handlersOf } from './handlers.ts';
import type { Judgement } from './invariants.ts';
import { judge } from './invariants.ts';
import { createObserver } from './observer.ts';
import { createProcess } from './process.ts';
import { createProducer } from './producer.ts';
import { createReplica } from './replica.ts';
import { killerMs, recoveryBoundMs, settings } from './settings.ts';
import { planTroubles } from './troubles.ts';
import { createWorld } from './world.ts';

export interface Run extends Judgement {
  readonly seed: number;
  readonly steps: number;
  /** Of everything that happened, in its order: equal where two runs are. */
  readonly digest: number;
  /** What happened, a line each; empty unless asked for. */
  readonly trace: readonly string[];
  /** From the last fault until everything was handled. */
  readonly recoveryMs: number;
  /** As computed from the settings and what there was to do. */
  readonly boundMs: number;
}

const config = configFromTable(settings, '/domain.toml');
const startAt = Date.UTC(2026, 0, 1);
const lookEveryMs = 500;
/** Once all is done it must stay so. */
const afterwardsMs = 2_500;
/** How long everybody may take to leave. */
const leaveMs = 20_000;

export interface SimulateOptions {
  readonly keepTrace?: boolean;
  /** Servers that break a promise, to see that the verdict tells. */
  readonly sabotage?: (servers: Providers) => Providers;
}

/** One run: several daemons in trouble, then quiet, then the verdict. The same for the same seed. */
export async function simulate(
  seed: number,
  { keepTrace = false, sabotage = (servers) => servers }: SimulateOptions = {},
): Promise<Run> {
  const chance = chanceOf(seed);
  const world = createWorld(chance, startAt);
  const observer = createObserver(world, chance);
  const lines: string[] = [];
  let digest = 0;
  const trace = (line: string) => {
    const text = `${(world.now() - startAt).toFixed(3)} ${line}`;
    for (let index = 0; index < text.length; index += 1) digest = (Math.imul(digest, 31) + text.charCodeAt(index)) | 0;
    if (keepTrace) lines.push(text);
  };
  const opened: MemoryDatabase[] = [];
  const { clock } = world;
  const sound = openProviders(config, {
    clock,
    random: chance.random,
    emit: () => undefined,
    loopOptions: observedLoops(clock, chance.random, () => undefined),
    observer: { opened: (database) => void opened.push(database), added: () => undefined },
  });
  const servers = sabotage(sound);
  const calm = chance.happens(0.1);
  const faults = plannedFaults(chance, calm ? 0 : 1 + chance.upTo(8));
  // One handler at a time shows most, and takes a third of the time.
  const inUse = chance.happens(0.25) ? categories : [chance.oneOf(categories)];
  const replicas = Array.from({ length: chance.happens(0.7) ? 2 : 3 }, (_, index) =>
    createReplica(`r${index + 1}`, { config, world, chance, faults, observer, servers, inUse, trace }),
  );
  for (const replica of replicas) world.after(chance.upTo(500), null, replica.start);
  // The provider `memory` opens no others.
  const store = sound.eventStore.store as MemoryEventStore;
  const outbox = sound.database('default').outbox as MemoryOutbox;
  const stormMs = 3_000 + chance.upTo(3_000);
  createProducer(world, chance, observer, outbox, store, inUse).plan(5 + chance.upTo(15), stormMs);
  if (!calm) planTroubles(world, chance, replicas, stormMs);
  const unhandled = (reason: unknown) => void observer.breaches.push(`I12 nobody handles: ${String(reason)}`);
  process.on('unhandledRejection', unhandled);
  await world.run(() => false, stormMs);
  faults.end();

  const nobody = createProcess('nobody', {
    world,
    chance,
    faults,
    trace,
    made: () => undefined,
    onCrash: () => undefined,
  });
  const plan = planFor(config, givenHandlers(handlersOf(nobody, observer, inUse), config.domain));
  const watched = watchedBy(config, plan, servers);
  const natures = observer.sent.map(({ nature }) => nature);
  const boundMs = recoveryBoundMs(natures);
  const killersMs = killerMs * natures.filter((each) => each === 'killer' || each === 'late_killer').length;
  const quietSince = world.now();
  let quiet = false;
  while (!quiet && world.now() - quietSince < boundMs + killersMs) {
    await world.run(() => false, lookEveryMs);
    quiet = await isQuiet(watched);
  }
  const recoveryMs = world.now() - Math.max(quietSince, ...observer.made.map(({ at }) => at));
  if (!quiet || recoveryMs > boundMs) observer.breaches.push(`I8 ${recoveryMs} ms to recover, not ${boundMs}`);
  await world.run(() => false, afterwardsMs);
  for (const replica of replicas) {
    replica.retire();
    replica.stop(10_000);
  }
  const left = await world.run(() => replicas.every(({ process }) => process === null), leaveMs);
  if (!left) observer.breaches.push('I12 somebody has not left');
  process.off('unhandledRejection', unhandled);
  const judgement = await judge({ observer, database: opened[0], servers });
  return { seed, steps: world.steps(), digest, trace: lines, recoveryMs, boundMs, ...judgement };
}
