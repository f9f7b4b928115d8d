import type { Config } from './config/config.ts';
import { configFromTable } from './config/from-table.ts';
import type { Table } from './config/tree.ts';
import { givenHandlers } from './handler/given-handlers.ts';
import type { MessageName, Payloads, ProcessOptions, RaiseOptions } from './handler/handler.ts';
import type { MemoryDatabase } from './handler/memory-unit-of-work.ts';
import type { Raised } from './handler/raised.ts';
import { raisedCommand, raisedEvent } from './handler/raised.ts';
import { upcastersIn } from './handler/upcaster.ts';
import type { Catalog } from './message/catalog.ts';
import type { NewMessage } from './message/compose.ts';
import type { Json, JsonObject } from './message/message.ts';
import { categoryOf, streamOf } from './message/stream-name.ts';
import { parseTypeName } from './message/type-name.ts';
import type { Database } from './providers.ts';
import { openProviders } from './providers.ts';
import type { Millis, Random } from './runtime/clock.ts';
import { ConfigError, DomaindError } from './runtime/errors.ts';
import type { ManualClock } from './runtime/manual-clock.ts';
import { createManualClock } from './runtime/manual-clock.ts';
import { createCatalog } from './schema/catalog.ts';
import { loadSchemas } from './schema/load-schemas.ts';
import type { TelemetryEvent } from './telemetry/event.ts';
import { createHealthState } from './telemetry/health.ts';
import type { Watched } from './telemetry/monitor.ts';
import { isQuiet } from './telemetry/monitor.ts';
import { observedLoops } from './telemetry/observed-loops.ts';
import { createWorker } from './worker.ts';

export interface TestDomainOptions {
  /** Modules of handlers, as `import * as orders from './orders.js'` gives them; other exports are passed over. */
  readonly handlers: { readonly [name: string]: unknown };
  /** Default `test`. */
  readonly name?: string;
  /** More of domain.toml, as a table: `{ server: { stream_subscription: { max_retries: 5 } } }`. */
  readonly settings?: { readonly [key: string]: unknown };
  /** What the clock shows at first; default 2026-01-01T00:00:00Z. */
  readonly startAt?: Date;
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
  /** With `command_processing = "sync"` in the settings: what its handler returns, and rejects with what it throws. */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ProcessOptions): Promise<unknown>;
  raise<Name extends MessageName>(name: Name, options: RaiseOptions<Payloads[Name]>): Promise<void>;
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

const dayMs: Millis = 86_400_000;
const newYear = Date.UTC(2026, 0, 1);
const lineage = { correlationId: 'test', causationId: 'test', traceparent: null };

/** Starts a domain in memory. Throws ConfigError for handlers that would not load, too. */
export async function testDomain(options: TestDomainOptions): Promise<TestDomain> {
  const { name = 'test', settings = {}, startAt } = options;
  const clock = createManualClock(startAt?.getTime() ?? newYear);
  const config = configFromTable({ ...embedded, ...settings, name } as Table, '/domain.toml');
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
  const handlers = givenHandlers(options.handlers, config.domain);
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
  const ofHandler = (event: TelemetryEvent, handler: string) =>
    'subscription' in event && event.subscription === handler;

  return {
    clock,
    messages,
    process: (type, data, given) =>
      send(raisedCommand(type, data, given, { ...lineage, domain: config.domain.normalized })),
    raise: (type, given) =>
      send(raisedEvent(type, given, { ...lineage, domain: config.domain.normalized })).then(() => undefined),
    async publish(stream, payload) {
      await providers.broker('default').publish([{ stream, body: JSON.stringify(payload), key: null }]);
    },
    settle: () => settle(worker.watched, clock),
    advance: (ms) => clock.advance(ms),
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
      Object.fromEntries(
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
      await clock.advance(10_000);
      await running;
      await providers.close();
    },
  };
}

const embedded = {
  enable_outbox: true,
  databases: { default: { provider: 'memory' } },
  brokers: { default: { provider: 'inline' } },
  event_store: { provider: 'memory' },
  server: {
    default_subscription_type: 'stream',
    // One process, which hears of everything: to look again and again would only cost the clock's time.
    partitioning: { poll_interval_seconds: 60, heartbeat_interval_seconds: 1_200, lease_ttl_ms: 3_600_000 },
  },
};

/** The same numbers in every run, so that a test sees the same delays. Lehmer's generator. */
function seeded(): Random {
  let state = 42;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** The schemas of `[schemas] path`, and the upcasters of the modules. */
async function catalogIn(modules: TestDomainOptions['handlers'], { schemas: settings }: Config): Promise<Catalog> {
  const { upcasts, faults: ofUpcasters } = upcastersIn('test', Object.entries(modules));
  const schemas = await loadSchemas(settings.path);
  const { catalog, faults } = createCatalog(settings, schemas, upcasts);
  const bad = ofUpcasters.map(({ name, place, sentence }) => ({
    code: 'bad_upcaster',
    where: place,
    message: `${name}: ${sentence}`,
  }));
  const all = [...schemas.faults, ...bad, ...faults];
  if (all.length > 0) throw new ConfigError(all);
  return catalog;
}

const toTestMessage = ({ kind, name, category, id, dataText }: NewMessage): TestMessage => ({
  kind,
  name,
  category,
  id,
  data: JSON.parse(dataText) as JsonObject,
});

async function settle(watched: Watched, clock: ManualClock): Promise<void> {
  const until = clock.now() + dayMs;
  // Twice: what is looked up one after the other may move from what is still to be seen to what was seen.
  for (let quiet = 0, stepMs = 1; quiet < 2; stepMs = Math.min(60_000, stepMs * 2)) {
    await clock.advance(stepMs);
    quiet = (await isQuiet(watched)) ? quiet + 1 : 0;
    if (clock.now() > until) throw new DomaindError('not_settled', 'something is still to be done after a day');
  }
}

function defaultOf(databases: ReadonlyMap<string, Database>): Database {
  const [first] = databases.values();
  if (first === undefined) throw new DomaindError('no_database', 'there is no database');
  return databases.get('default') ?? first;
}
