import type { Config } from '../../src/config/config.ts';
import { givenHandlers } from '../../src/handler/given-handlers.ts';
import type { Providers } from '../../src/providers.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';
import { createHealthState } from '../../src/telemetry/health.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import { createWorker } from '../../src/worker.ts';
import type { Chance } from './chance.ts';
import type { Faults } from './faults.ts';
import type { Category } from './handlers.ts';
import { handlersOf } from './handlers.ts';
import type { Observer } from './observer.ts';
import type { Process } from './process.ts';
import { createProcess } from './process.ts';
import { wireBroker } from './wire-broker.ts';
import { wireDatabase, wireEventStore } from './wire-database.ts';
import type { World } from './world.ts';

/** One daemon of several, started again whenever it has died or has left. */
export interface Replica {
  /** The incarnation there is; null between two of them. */
  readonly process: Process | null;
  start(): void;
  /** SIGTERM, and after the grace period the hard stop. */
  stop(graceMs: number): void;
  /** No more new incarnations. */
  retire(): void;
}

export interface ReplicaDeps {
  readonly config: Config;
  readonly world: World;
  readonly chance: Chance;
  readonly faults: Faults;
  readonly observer: Observer;
  readonly servers: Providers;
  /** Those that there are handlers for. */
  readonly inUse: readonly Category[];
  readonly trace: (line: string) => void;
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function createReplica(name: string, deps: ReplicaDeps): Replica {
  const { config, world, chance, faults, observer, servers, inUse, trace } = deps;
  let incarnation = 0;
  let retired = false;
  let current: { readonly process: Process; readonly soft: AbortController; readonly hard: AbortController } | null =
    null;

  function again(): void {
    current = null;
    if (!retired) world.after(100 + chance.upTo(1_400), null, start);
  }

  function start(): void {
    if (retired || current !== null) return;
    incarnation += 1;
    const id = `${name}-${incarnation}`;
    trace(`${id} starts`);
    const process = createProcess(id, {
      world,
      chance,
      faults,
      trace,
      made: (fault) => observer.made.push(fault),
      onCrash: again,
    });
    const soft = new AbortController();
    const hard = new AbortController();
    current = { process, soft, hard };
    const { clock } = process;
    const emit = (event: TelemetryEvent) => told(process, event);
    const worker = createWorker(
      config,
      givenHandlers(handlersOf(process, observer, inUse), config.domain),
      ['relay', 'subscriptions'],
      wired(servers, process, observer),
      {
        id,
        clock,
        random: chance.random,
        emit,
        loopOptions: observedLoops(clock, chance.random, emit),
        state: createHealthState(),
        handlerLog: () => silent,
      },
    );
    worker.run({ soft: soft.signal, hard: hard.signal }).then(
      () => {
        trace(`${id} has left`);
        if (!soft.signal.aborted) observer.breaches.push(`I12 ${id} ended by itself`);
        if (!process.dead) again();
      },
      (error: unknown) => {
        observer.breaches.push(`I12 ${id} broke: ${String(error)}`);
        if (!process.dead) again();
      },
    );
  }

  function told(process: Process, event: TelemetryEvent): void {
    if (event.event === 'loop.stepped' || event.event === 'delivery.ended') return;
    const about = 'entry_id' in event ? ` ${event.subscription} ${event.entry_id}` : '';
    const error = 'err' in event && event.err instanceof Error ? ` ${event.err.message}` : '';
    trace(`${process.name}   ${event.event}${about}${error}`);
    if (event.event === 'loop.failed' && !(event.err instanceof UnavailableError) && event.err.name !== 'NotOwnedError')
      observer.breaches.push(`I12 ${process.name} ${event.loop} failed with ${event.err.stack ?? event.err.message}`);
  }

  return {
    get process() {
      return current?.process ?? null;
    },
    start,
    stop(graceMs) {
      const stopping = current;
      if (stopping === null || stopping.soft.signal.aborted) return;
      const { process, soft, hard } = stopping;
      trace(`${process.name} is to stop within ${graceMs} ms`);
      observer.made.push({ at: world.now(), process: process.name, point: 'signal', kind: 'stop' });
      world.after(0, process, () => soft.abort());
      world.after(graceMs, process, () => hard.abort());
    },
    retire() {
      retired = true;
    },
  };
}

/** All servers, as one process reaches them. */
function wired(servers: Providers, process: Process, observer: Observer): Providers {
  const databases = new Map(
    [...servers.databases].map(([name, each]) => [name, wireDatabase(each, process, observer)]),
  );
  const brokers = new Map([...servers.brokers].map(([name, each]) => [name, wireBroker(each, process, observer)]));
  const found = <T>(all: ReadonlyMap<string, T>, name: string): T => {
    const one = all.get(name);
    if (one === undefined) throw new RangeError(name);
    return one;
  };
  return {
    ...servers,
    databases,
    brokers,
    eventStore: { ...servers.eventStore, store: wireEventStore(servers.eventStore.store, process) },
    database: (name) => found(databases, name),
    broker: (name) => found(brokers, name),
  };
}
