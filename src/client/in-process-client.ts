import { cwd, env } from 'node:process';
import type { TransactionSql } from 'postgres';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { resolveSubscription } from '../config/resolve.ts';
import { openDatabase } from '../connection/postgresql.ts';
import { createDeadlines } from '../handler/deadlines.ts';
import { givenHandlers } from '../handler/given-handlers.ts';
import type { HandleNow, HandleNowDeps } from '../handler/handle-now.ts';
import { createHandleNow } from '../handler/handle-now.ts';
import type { Collection, HandlerLog, MessageName, Payloads } from '../handler/handler.ts';
import type { Idempotency } from '../handler/idempotency.ts';
import { createInProcess } from '../handler/in-process.ts';
import { createMemoryIdempotency } from '../handler/memory-idempotency.ts';
import { createMemoryDatabase, createMemoryUnitsOfWork } from '../handler/memory-unit-of-work.ts';
import { createPostgresqlIdempotency } from '../handler/postgresql-idempotency.ts';
import { createPostgresqlUnitsOfWork } from '../handler/postgresql-unit-of-work.ts';
import type { Raised } from '../handler/raised.ts';
import { openRedisKeys } from '../handler/redis-idempotency.ts';
import type { UnitOfWork, UnitsOfWork } from '../handler/unit-of-work.ts';
import { categoryOf } from '../message/stream-name.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import { loadCatalog } from '../schema/load-catalog.ts';
import type { ClientProcessOptions, ClientRaiseOptions } from './messages.ts';
import { commandOf, eventOf } from './messages.ts';

/** An application that handles its own messages, as `command_processing` and `event_processing` = "sync" say. */
export interface InProcessClientConfig {
  /** Modules of handlers, as `import * as orders from './handlers/order.js'` gives them; other exports are passed over. */
  readonly handlers: { readonly [name: string]: unknown };
  /** The path of domain.toml; default: DOMAIND_CONFIG, else searched for as the daemon does. */
  readonly config?: string;
  /** The overlay; default: DOMAIND_ENV. */
  readonly env?: string;
  /** Where the lines of `ctx.log` go; default: nowhere. */
  readonly log?: HandlerLog;
}

export interface InProcessTransaction {
  /** The driver `postgres`, in this transaction. Provider `postgresql` only. */
  readonly sql: TransactionSql;
  /** Documents in this transaction, as `ctx.store` has them. */
  store<Document>(collection: string): Collection<Document>;
  /** An event; handled in this transaction, before its commit, or written to the outbox in it. */
  raise<Name extends MessageName>(name: Name, options: ClientRaiseOptions<Payloads[Name]>): void;
  /** A command: what its handler returns, in this transaction; undefined where it is written to the outbox. */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ClientProcessOptions): Promise<unknown>;
}

/** Errors are those of the handlers, and of domaind where the database is away or not set up. */
export interface InProcessClient {
  /** A command in a transaction of its own: what its handler returns; undefined where it goes to the outbox. */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ClientProcessOptions): Promise<unknown>;
  /** An event in a transaction of its own. */
  raise<Name extends MessageName>(name: Name, options: ClientRaiseOptions<Payloads[Name]>): Promise<void>;
  /** Committed when `work` returns and all that it brought about is handled; rolled back when any of that throws. */
  transaction<T>(work: (tx: InProcessTransaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const never = new AbortController().signal;
const nowhere: HandlerLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Opens the database of domain.toml, on provider `memory` too, and handles there what the file says is handled at once.
 * Throws ConfigError or MisconfiguredError.
 */
export async function connectInProcess(options: InProcessClientConfig): Promise<InProcessClient> {
  const { handlers: modules, config: path = null, env: overlay = null, log = nowhere } = options;
  const { config } = await loadConfig({ path, env: overlay, cwd: cwd(), environment: env });
  const { domain, commandProcessing, eventProcessing, custom, server } = config;
  const handlers = givenHandlers(modules, domain);
  const catalog = await loadCatalog(config.schemas);
  const closed = new AbortController();
  const database = openOne(config, handlers[0]?.database ?? 'default');
  const redisKeys = openRedisKeys(config, { clock: systemClock, random: systemRandom, onLost: () => undefined });
  const modes = { commands: commandProcessing === 'sync', events: eventProcessing === 'sync' };
  const inProcess = createInProcess({ domain, ...modes, outbox: database.outbox }, handlers, { clock: systemClock });
  const timeouts = handlers.map((handler) => resolveSubscription(server.subscriptions, handler).handlerTimeoutMs);
  const deps: HandleNowDeps = {
    domain: domain.normalized,
    config: custom,
    unitsOfWork: database.unitsOfWork,
    log: () => log,
    deadlines: createDeadlines(Math.max(...timeouts), { clock: systemClock, hard: closed.signal }),
    catalog,
    inProcess,
    quickRetries: server,
    idempotency: redisKeys ?? database.keys,
    clock: systemClock,
    random: systemRandom,
    hard: closed.signal,
  };
  const named = (message: Raised): Raised =>
    catalog.outgoing({ ...message, category: categoryOf(domain.normalized, message.category) });
  const handleNow = createHandleNow(deps);
  const transaction = transactions(deps, named);
  const send = sender(handleNow, deps);

  return {
    process: async (name, data, given) => send(named(commandOf(name, data, given))),
    async raise(name, given) {
      await send(named(eventOf(name, given)));
    },
    transaction,
    async close() {
      closed.abort();
      deps.deadlines.close();
      redisKeys?.close();
      await database.close();
    },
  };
}

interface Opened {
  readonly unitsOfWork: UnitsOfWork;
  readonly keys: Idempotency;
  /** Whether there is somewhere to write what is handled elsewhere. */
  readonly outbox: boolean;
  close(): Promise<void>;
}

function openOne({ databases, outbox: settings, idempotency }: Config, name: string): Opened {
  const found = databases.get(name);
  const outbox = settings !== null;
  if (found === undefined) throw new MisconfiguredError('no_database', 'domain.toml has no such database');
  if (found.provider === 'memory') {
    // No relay looks at an outbox in this process's memory.
    const unitsOfWork = createMemoryUnitsOfWork(createMemoryDatabase(found.name, null));
    const keys = createMemoryIdempotency(idempotency, { clock: systemClock });
    return { unitsOfWork, keys, outbox: false, close: async () => undefined };
  }
  const database = openDatabase(found, { notice: () => undefined });
  const unitsOfWork = createPostgresqlUnitsOfWork(database, { outbox });
  const keys = createPostgresqlIdempotency(idempotency, database);
  return { unitsOfWork, keys, outbox, close: () => database.close() };
}

/** What is not handled here goes to the outbox, in a transaction of its own. */
function sender(handleNow: HandleNow, { unitsOfWork }: HandleNowDeps) {
  return async (message: Raised): Promise<unknown> => {
    const handled = await handleNow(message);
    if (handled !== null) return handled.value;
    const work = unitsOfWork.beginMany([]);
    await ending(work, async () => work.add(message));
    return undefined;
  };
}

function transactions(deps: HandleNowDeps, named: (message: Raised) => Raised): InProcessClient['transaction'] {
  const { inProcess, unitsOfWork } = deps;
  return async (run) => {
    const work = unitsOfWork.beginMany([]);
    const root = inProcess.begin(
      deps,
      () => work,
      () => never,
    );
    const tx: InProcessTransaction = {
      get sql() {
        return work.sql;
      },
      store: (collection) => work.store(collection),
      raise(name, given) {
        const event = named(eventOf(name, given));
        if (root.raise(event) === null) work.add(event);
      },
      async process(name, data, given) {
        const command = named(commandOf(name, data, given));
        const handled = root.process(command);
        if (handled === null) return void work.add(command);
        return handled;
      },
    };
    return ending(work, async () => {
      const result = await run(tx);
      await root.settle();
      return result;
    });
  };
}

async function ending<T>(work: UnitOfWork, run: () => Promise<T>): Promise<T> {
  try {
    const result = await run();
    await work.commit();
    return result;
  } catch (thrown) {
    await work.rollback();
    throw work.outageBehind(thrown) ?? thrown;
  }
}
