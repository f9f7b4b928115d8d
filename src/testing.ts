import { env } from 'node:process';
import { configFromTable } from './config/from-table.ts';
import type { Table } from './config/tree.ts';
import { givenHandlers } from './handler/given-handlers.ts';
import type { MessageName, Payloads, ProcessOptions, RaiseOptions } from './handler/handler.ts';
import type { MemoryDatabase } from './handler/memory-unit-of-work.ts';
import type { Raised } from './handler/raised.ts';
import { raisedCommand, raisedEvent } from './handler/raised.ts';
import type { NewMessage } from './message/compose.ts';
import type { Json, JsonObject } from './message/message.ts';
import { categoryOf, streamOf } from './message/stream-name.ts';
import { parseTypeName } from './message/type-name.ts';
import type { Database } from './providers.ts';
import { openProviders } from './providers.ts';
import type { Millis } from './runtime/clock.ts';
import { DomaindError } from './runtime/errors.ts';
import type { ManualClock } from './runtime/manual-clock.ts';
import { createManualClock } from './runtime/manual-clock.ts';
import type { TelemetryEvent } from './telemetry/event.ts';
import { createHealthState } from './telemetry/health.ts';
import { observedLoops } from './telemetry/observed-loops.ts';
import { catalogIn } from './testing-catalog.ts';
import type { Look, TestServers } from './testing-servers.ts';
import { prepareGround, realTime } from './testing-servers.ts';
import { embedded, laidOver, onServers, seeded, silent } from './testing-settings.ts';
import { settle, settleReally } from './testing-settle.ts';
import { createWorker } from './worker.ts';

export type { TestServers } from './testing-servers.ts';

export interface TestDomainOptions {
  /** Modules of handlers, as `import * as orders from './orders.js'` gives them; other exports are passed over. */
  readonly handlers: { readonly [name: string]: unknown };
  /** Default `test`. */
  readonly name?: string;
  /** More of domain.toml, as a table: `{ server: { stream_subscription: { max_retries: 5 } } }`. */
  readonly settings?: { readonly [key: string]: unknown };
  /** What the clock shows at first; default 2026-01-01T00:00:00Z. */
  readonly startAt?: Date;
  /**
   * Runs the test on real servers, in real time: `advance` waits, and `documents` and `messages` show what `settle` and
   * `advance` have found there. Default: those of DOMAIND_TEST_DATABASE and DOMAIND_TEST_REDIS where both are set; null: never.
   */
  readonly servers?: TestServers | null;
}

/** A message that was raised, processed or sent, in the order in which that happened. */
export interface TestMessage {
  readonly kind: 'EVENT' | 'COMMAND';
  readonly name: string;
  /** With its domain: `bookshelf::order`. */
  readonly category: string;
  readonly id: string | null;
  readonly data: JsonObject;
}

export interface TestDeadLetter {
  readonly handler: string;
  readonly messageType: string | null;
  readonly attempt: number;
  readonly error: Error;
}

/** A domain in memory, on a clock that only the test moves: handlers run as in the daemon, in milliseconds. */
export interface TestDomain {
  /**
   * A promise, which `settle` and `advance` wait for: with `command_processing = "sync"` in the settings of what its handler
   * returns, or rejected with what it throws.
   */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ProcessOptions): unknown;
  raise<Name extends MessageName>(name: Name, options: RaiseOptions<Payloads[Name]>): unknown;
  /** An external message. */
  publish(stream: string, payload: Json): Promise<void>;
  /** Moves the clock until nothing is left to do, retries included. Throws when that takes more than a day. */
  settle(): Promise<void>;
  advance(ms: Millis): Promise<void>;
  readonly clock: ManualClock;
  readonly messages: readonly TestMessage[];
  /** How often a handler has handled, skipped duplicates included or not. */
  handled(handler: string, outcome?: 'ok' | 'duplicate' | 'skipped'): number;
  retries(handler: string): number;
  readonly deadLetters: readonly TestDeadLetter[];
  /** The documents of a collection, by id. */
  documents(collection: string): { readonly [id: string]: JsonObject };
  /** The events that were appended to the stream of an aggregate, oldest first. */
  appended(category: string, id: string): Promise<readonly TestMessage[]>;
  stop(): Promise<void>;
}

const newYear = Date.UTC(2026, 0, 1);
const lineage = { correlationId: 'test', causationId: 'test', traceparent: null };

/** Starts a domain in memory. Throws ConfigError for handlers that would not load, too. */
export async function testDomain(options: TestDomainOptions): Promise<TestDomain> {
  const { settings = {}, startAt, servers = serversIn(env) } = options;
  const ground = servers === null ? null : await prepareGround(servers, options.name ?? 'test');
  const name = ground?.name ?? options.name ?? 'test';
  const clock = ground === null ? createManualClock(startAt?.getTime() ?? newYear) : realTime;
  const base = ground === null ? embedded : { ...embedded, ...ground.settings, server: onServers };
  const config = configFromTable({ ...laidOver(base, settings), name } as Table, '/domain.toml');
  const facts: TelemetryEvent[] = [];
  const messages: TestMessage[] = [];
  const databases: MemoryDatabase[] = [];
  const emit = (event: TelemetryEvent) => void facts.push(event);
  const observer = {
    opened: (database: MemoryDatabase) => void databases.push(database),
    added: (added: readonly NewMessage[]) => void messages.push(...added.map(toTestMessage)),
  };
  const random = seeded();
  const loopOptions = observedLoops(clock, random, emit);
  const providers = openProviders(config, { clock, random, emit, loopOptions, observer });
  const given = givenHandlers(options.handlers, config.domain);
  const handlers = ground === null ? given : given.map(ground.handlerOf);
  const catalog = await catalogIn(options.handlers, config);
  const worker = createWorker(config, handlers, ['relay', 'subscriptions'], providers, {
    id: 'test',
    clock,
    random,
    emit,
    loopOptions,
    state: createHealthState(),
    catalog,
    onTaken: (message) => void messages.push(toTestMessage(message)),
    handlerLog: () => silent,
  });
  const soft = new AbortController();
  const hard = new AbortController();
  const running = worker.run({ soft: soft.signal, hard: hard.signal });
  await clock.advance(0);
  /** Throws at once what is wrong with the message itself. */
  function send(raised: Raised): Promise<unknown> {
    const checked = catalog.outgoing(raised);
    if (worker.handleNow === null) return write(checked);
    return worker.handleNow(checked).then((handled) => (handled === null ? write(checked) : handled.value));
  }
  async function write(checked: Raised): Promise<undefined> {
    await defaultOf(providers.databases).write([checked]);
  }
  /** What was sent and not awaited: written one after the other, so that it keeps its order. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (message: Raised): Promise<unknown> => {
    if (ground === null) return send(message);
    const next = last.then(() => send(message));
    last = next.catch(() => undefined);
    return next;
  };
  const sent = async (): Promise<void> => void (await last);
  const ofHandler = (event: TelemetryEvent, handler: string) =>
    'subscription' in event && event.subscription === handler;

  let look: Look | null = null;
  const lookAgain = async () => {
    look = ground === null ? null : await ground.look();
  };

  return {
    clock,
    get messages() {
      return look === null ? messages : look.messages;
    },
    process: (type, data, given) =>
      inTurn(raisedCommand(type, data, given, { ...lineage, domain: config.domain.normalized })),
    raise: (type, given) =>
      inTurn(raisedEvent(type, given, { ...lineage, domain: config.domain.normalized })).then(() => undefined),
    async publish(stream, payload) {
      await providers
        .broker('default')
        .publish([{ stream: ground?.streamOf(stream) ?? stream, body: JSON.stringify(payload), key: null }]);
    },
    async settle() {
      await sent();
      await (ground === null ? settle(worker.watched, clock) : settleReally(worker.watched, realTime));
      await lookAgain();
    },
    async advance(ms) {
      await sent();
      await clock.advance(ms);
      await lookAgain();
    },
    handled: (handler, outcome = 'ok') =>
      facts.filter((each) => each.event === 'delivery.handled' && ofHandler(each, handler) && each.outcome === outcome)
        .length,
    retries: (handler) => facts.filter((each) => each.event === 'delivery.retried' && ofHandler(each, handler)).length,
    get deadLetters() {
      return facts.flatMap((each) =>
        each.event === 'delivery.dead_lettered'
          ? [{ handler: each.subscription, messageType: each.message_type, attempt: each.attempt, error: each.err }]
          : [],
      );
    },
    documents: (collection) =>
      look !== null
        ? (look.documents.get(collection) ?? {})
        : Object.fromEntries(
            databases.flatMap(({ collections }) =>
              [...(collections.get(collection) ?? [])].map(([id, text]) => [id, JSON.parse(text) as JsonObject]),
            ),
          ),
    async appended(category, id) {
      const full = categoryOf(config.domain.normalized, category);
      const stored = await providers.eventStore.store.readStream(streamOf(full, id), 0, Number.MAX_SAFE_INTEGER);
      return stored.map(({ type, dataText }) => ({
        kind: 'EVENT',
        name: parseTypeName(type)?.name ?? type,
        category: full,
        id,
        data: JSON.parse(dataText) as JsonObject,
      }));
    },
    async stop() {
      soft.abort();
      hard.abort();
      if (ground === null) await clock.advance(10_000);
      await running;
      await providers.close();
      await ground?.clear();
    },
  };
}

function serversIn(environment: typeof env): TestServers | null {
  const { DOMAIND_TEST_DATABASE: databaseUri = '', DOMAIND_TEST_REDIS: redisUrl = '' } = environment;
  return databaseUri === '' || redisUrl === '' ? null : { databaseUri, redisUrl };
}

const toTestMessage = ({ kind, name, category, id, dataText }: NewMessage): TestMessage => ({
  kind,
  name,
  category,
  id,
  data: JSON.parse(dataText) as JsonObject,
});

function defaultOf(databases: ReadonlyMap<string, Database>): Database {
  const [first] = databases.values();
  if (first === undefined) throw new DomaindError('no_database', 'there is no database');
  return databases.get('default') ?? first;
}
