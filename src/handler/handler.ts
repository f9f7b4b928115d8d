import type { TransactionSql } from 'postgres';
import type { AggregateName, Fold, Loaded, LoadOptions } from '../message/aggregate.ts';
import type { Json, JsonObject, Message } from '../message/message.ts';

/**
 * Payloads by message name. Empty here; an application adds to it, by hand or from its schemas, and `handles` and
 * `raise` are then checked by name:
 *
 *   declare module 'domaind' { interface MessageTypes { PlaceOrder: { order_id: string } } }
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface MessageTypes {}

/**
 * Payloads by message name and version, for upcasters: `{ OrderPlaced: { 1: …; 2: … } }`. Empty here; `domaind types`
 * fills it from the schemas.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface MessageVersions {}

/**
 * What the application has declared no type for: JSON, taken to be what the handler takes it for. Checking it would ask
 * of every handler to prove what its producer wrote; those who want it checked declare it.
 */
// biome-ignore lint/suspicious/noExplicitAny: this is where the application's types begin, and it has given none
export type Unchecked = any;

/** The payloads of the application, unchecked where it has declared none. */
export type Payloads = [keyof MessageTypes] extends [never] ? { readonly [name: string]: Unchecked } : MessageTypes;
export type MessageName = Extract<keyof Payloads, string>;

/** A line of the handler's log: the message, and facts beside it. Never pass payloads with personal data. */
export interface HandlerLog {
  debug(message: string, facts?: object): void;
  info(message: string, facts?: object): void;
  warn(message: string, facts?: object): void;
  error(message: string, facts?: object): void;
}

/**
 * Documents by id, in the handler's transaction: a small store for handlers that need no tables of their own, the same
 * on `memory` and `postgresql` (ADR-3). A document that was read or written is locked until the transaction ends, so
 * that reading, changing and writing it back loses nothing.
 */
export interface Collection<Document = Unchecked> {
  get(id: string): Promise<Document | null>;
  /** An object, which is kept as its JSON. */
  put(id: string, value: Document): Promise<void>;
  delete(id: string): Promise<void>;
  /** In the order of their ids. */
  list(): Promise<readonly { readonly id: string; readonly value: Document }[]>;
}

export interface RaiseOptions<Data> {
  /** `order`, or with its domain `bookshelf::order`. */
  readonly category: string;
  readonly id: string;
  readonly data: Data;
  readonly version?: number;
  /** Higher is sooner, between streams; never at the cost of the order within one. */
  readonly priority?: number;
  readonly partitionKey?: string;
  /** Also to the external brokers. */
  readonly published?: boolean;
  /** ISO-8601: not before. */
  readonly deliverAt?: string;
  readonly extensions?: JsonObject;
}

/** An event to be appended: its name, its payload, and what may be said of one that is raised. */
export type NewEvent = {
  readonly [Name in MessageName]: { readonly type: Name; readonly data: Payloads[Name] } & Omit<
    RaiseOptions<unknown>,
    'category' | 'id' | 'data' | 'deliverAt'
  >;
}[MessageName];

export interface AppendOptions {
  /** The version that `load` answered; -1: the stream must be new. Left out: appended in any case. */
  readonly expectedVersion?: number;
}

export interface ProcessOptions {
  readonly category: string;
  /** The aggregate that the command is for; a fresh id where there is none yet. */
  readonly id?: string;
  readonly version?: number;
  readonly priority?: number;
  readonly partitionKey?: string;
  /** The same key brings the first answer, not a second execution. */
  readonly idempotencyKey?: string;
  readonly deadline?: string;
  readonly deliverAt?: string;
  readonly extensions?: JsonObject;
}

/** What a handler may know and do besides the message. */
export interface HandlerContext {
  /** The message in hand; for subscribers, what could be told of it. */
  readonly message: { readonly id: string; readonly correlationId: string | null; readonly stream: string };
  /** Counts from 1. Above 1, the handler has seen this message before, perhaps to the end. */
  readonly attempt: number;
  /** Aborts when the handler has run too long, lost its message, or the daemon must go. */
  readonly signal: AbortSignal;
  readonly log: HandlerLog;
  /**
   * The handler's transaction on its database, opened at the first statement, committed when the handler returns and
   * rolled back when it throws. The inbox row goes first: a message that was handled before has no second effect.
   * Everything that `postgres` can do in a transaction, `savepoint` included. Provider `postgresql` only.
   */
  readonly sql: TransactionSql;
  /** Documents in the same transaction; on every database. */
  store<Document = Unchecked>(collection: string): Collection<Document>;
  /** An event, written to the outbox in the same transaction. */
  raise<Name extends MessageName>(name: Name, options: RaiseOptions<Payloads[Name]>): void;
  /**
   * A command, written to the outbox in the same transaction. With `command_processing = "sync"` it is handled at once,
   * in the same transaction, and this is a promise of what its handler returns, which the commit waits for; else there is
   * nothing to wait for.
   */
  process<Name extends MessageName>(name: Name, data: Payloads[Name], options: ProcessOptions): unknown;
  /**
   * Events of an event-sourced aggregate, appended to its stream in the event store at the commit, and with an outbox
   * published from there too. Where the event store is in the handler's database, all of that is one transaction. The
   * handler fails with ConcurrencyError when the stream is not at `expectedVersion`: `[server.version_retry]` tries again.
   */
  append(aggregate: AggregateName, events: readonly NewEvent[], options?: AppendOptions): void;
  /** The state of an event-sourced aggregate: its events, folded. What was appended by this call is not among them yet. */
  load<State>(
    aggregate: AggregateName,
    fold: Fold<State>,
    initial: State,
    options?: LoadOptions,
  ): Promise<Loaded<State>>;
  /** The `[custom]` table of domain.toml. */
  readonly config: { readonly [key: string]: Json };
}

export type Handle<Data> = (message: Message<Data>, ctx: HandlerContext) => unknown;

/**
 * Several functions for one message, by names that stay: each has its own transaction and its own account in the inbox,
 * so that one that fails does not make the others run again.
 */
export type Siblings<Data> = { readonly [name: string]: Handle<Data> };

/** A function for each message name, or several; `$any` for those that have none. */
export type Handles = { readonly [Name in MessageName]?: Handle<Payloads[Name]> | Siblings<Payloads[Name]> } & {
  readonly $any?: Handle<Unchecked> | Siblings<Unchecked>;
};

/** The same for commands: one function carries out a command. */
export type CommandHandles = { readonly [Name in MessageName]?: Handle<Payloads[Name]> } & {
  readonly $any?: Handle<Unchecked>;
};

/** What a hook may know: the transaction that failed is rolled back, so there is none to write in. */
export type HookContext = Pick<HandlerContext, 'message' | 'attempt' | 'signal' | 'log' | 'config'>;

/**
 * Told of every attempt that failed, before it is decided what becomes of the message. What it throws takes the place of
 * the error: a NonRetryableError, say, gives the message up at once.
 */
export type ErrorHook = (error: Error, message: never, ctx: HookContext) => unknown;

/** What empties a read model may do. */
export type ResetContext = Pick<HandlerContext, 'sql' | 'store' | 'config'>;

export interface HandlerOptions {
  /** Default: the name of the export. */
  readonly name?: string;
  /** The consumer group; default `<domain>.<name>`. Name another's to take over its position. */
  readonly group?: string;
  /** A name under `[databases]`; default `default`. */
  readonly database?: string;
  readonly profile?: string;
  /**
   * The field of the payload by which messages are handled one after the other: each value is a partition, in order
   * whatever fails and however many daemons there are. The same in all handlers of a category.
   */
  readonly sequentialBy?: string;
  /** Any field of the subscription type, as in `[server.subscriptions.<Handler>]`. */
  readonly subscription?: { readonly [field: string]: string | number | boolean };
  /** Called after each attempt that failed, with the error, the message (a subscriber's: the payload) and a context. */
  readonly handleError?: (error: Error, message: Unchecked, ctx: HookContext) => unknown;
  /** The same, as Protean has it. */
  readonly handle_error?: (error: Error, message: Unchecked, ctx: HookContext) => unknown;
  /**
   * Of a projector: empties its read model, before `domaind projection rebuild` reads everything again. It is one
   * transaction with the setting back of the position, so that a rebuild that is interrupted goes on where it was.
   */
  readonly reset?: (ctx: ResetContext) => unknown;
  /** A payload for each message name, to read and to try: `domaind dev` prints a command that sends one. */
  readonly examples?: { readonly [name: string]: JsonObject };
}

export type HandlerKind = 'command_handler' | 'event_handler' | 'projector' | 'subscriber';

/** What the four functions of define.ts return and modules export. Plain data; the mark tells it from other exports. */
export interface HandlerDefinition {
  readonly [handlerMark]: HandlerKind;
  readonly options: HandlerOptions;
  /** Categories as written (`order`), or the one stream of a subscriber. */
  readonly sources: readonly string[];
  /** A subscriber's broker. */
  readonly broker: string;
  /** A Map, so that a message named `toString` or `__proto__` finds nothing that nobody put there. */
  readonly handles: ReadonlyMap<string, Handling>;
  /** Of a projector that takes many messages at once; `handles` has the same for one. */
  readonly batch: Batch | null;
  /** What is wrong with it, one sentence each: reported, with the name of the export, by whoever takes it. */
  readonly faults: readonly string[];
  /** Where it was made, `file:line:column`, or null where that is not known. */
  readonly place: string | null;
}

/** A function of `handles` once its payload's type is forgotten: it is called with what the wire brings. */
export type HandlerFunction = (message: never, ctx: HandlerContext) => unknown;

/** What a batch function may do: all that does not need to know which message it is for. */
export type BatchContext = Pick<HandlerContext, 'attempt' | 'signal' | 'log' | 'sql' | 'store' | 'config'>;

/** A function for many messages at once, in one transaction. */
export interface Batch {
  /** Messages at most. */
  readonly size: number;
  /** The names of the messages that it is called with; null: all. */
  readonly types: ReadonlySet<string> | null;
  readonly handle: (messages: never, ctx: BatchContext) => unknown;
}

/** A function, or several by name. */
export type Handling = HandlerFunction | ReadonlyMap<string, HandlerFunction>;

/** Registered globally, so that definitions made by another copy of this package are known too. */
export const handlerMark: unique symbol = Symbol.for('domaind.handler');
