import type { Message } from '../message/message.ts';
import { batchIn, handlesOf } from './define-batch.ts';
import type {
  BatchContext,
  CommandHandles,
  HandlerContext,
  HandlerDefinition,
  HandlerFunction,
  HandlerKind,
  HandlerOptions,
  Handles,
  Handling,
  MessageName,
  Unchecked,
} from './handler.ts';
import { handlerMark } from './handler.ts';
import { placeOfCall } from './place-of-call.ts';

export interface CommandHandlerInput extends HandlerOptions {
  /** The aggregate's category: `order`. */
  readonly category: string;
  readonly handles: CommandHandles;
}

export interface ProjectorInput extends HandlerOptions {
  readonly categories: readonly string[];
  readonly handles: Handles;
  readonly batch?: never;
}

/**
 * A projector that takes what is there at once. Its inbox rows go first and it is all one transaction; where that fails,
 * `handle` is called with each message by itself, so that one that cannot be handled does not hold up the rest.
 */
export interface BatchProjectorInput extends HandlerOptions {
  readonly categories: readonly string[];
  readonly handles?: never;
  readonly batch: {
    /** Messages at most, 2 to 10000. */
    readonly size: number;
    /** The messages to be called with; those of other names are acknowledged. Default: all. */
    readonly types?: readonly MessageName[];
    /** The messages in the order of their streams, those that were handled before left out. */
    readonly handle: (messages: readonly Message<Unchecked>[], ctx: BatchContext) => unknown;
  };
}

export type EventHandlerInput =
  | (ProjectorInput & { readonly category?: never })
  | (HandlerOptions & { readonly category: string; readonly handles: Handles; readonly categories?: never });

export interface SubscriberInput<Payload> extends HandlerOptions {
  /** The external stream, as its producer names it. */
  readonly stream: string;
  /** A name under `[brokers]`; default `default`. */
  readonly broker?: string;
  /** Called with each entry's payload as it came: domaind does not check it against `Payload`. */
  readonly handle: (payload: Payload, ctx: HandlerContext) => unknown;
}

/** Carries out the commands of one aggregate. A command type has one such handler in the domain. */
export function commandHandler(input: CommandHandlerInput): HandlerDefinition {
  const { category, handles, ...options } = given(input);
  return define('command_handler', commandHandler, [category], 'default', handles, options);
}

/** Reacts to the events of one or more categories. */
export function eventHandler(input: EventHandlerInput): HandlerDefinition {
  const { category, categories, handles, ...options } = given(input);
  return define('event_handler', eventHandler, categories ?? [category], 'default', handles, options);
}

/** Keeps a read model up to date with the events of one or more categories. */
export function projector(input: ProjectorInput | BatchProjectorInput): HandlerDefinition {
  const { categories, handles, batch, ...options } = given(input);
  if (batch === undefined) return define('projector', projector, categories, 'default', handles, options);
  const { faults, taken } = batchIn(batch, handles);
  const each = taken === null ? { $any: () => undefined } : handlesOf(taken);
  const definition = define('projector', projector, categories, 'default', each, options);
  return Object.freeze({ ...definition, batch: taken, faults: Object.freeze([...definition.faults, ...faults]) });
}

/** Takes in the messages of an external stream: the bridge from other systems into this domain. */
export function subscriber<Payload = Unchecked>(input: SubscriberInput<Payload>): HandlerDefinition {
  const { stream, broker = 'default', handle, ...options } = given(input);
  return define('subscriber', subscriber, [stream], broker, { $any: handle }, options);
}

/** Whether a module's export is a handler, also one made by another copy of this package. Never throws. */
export function isHandlerDefinition(value: unknown): value is HandlerDefinition {
  try {
    return typeof value === 'object' && value !== null && handlerMark in value;
  } catch {
    return false;
  }
}

/** What a maker was given, with the names of options that Protean has as those of this side. */
const given = (input: unknown): Record<string, unknown> =>
  isRecord(input)
    ? Object.fromEntries(Object.entries(input).map(([key, value]) => [ownNames.get(key) ?? key, value]))
    : {};

const ownNames: ReadonlyMap<string, string> = new Map([
  ['handle_error', 'handleError'],
  ['sequential_by', 'sequentialBy'],
]);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function define(
  kind: HandlerKind,
  maker: (input: never) => HandlerDefinition,
  sources: unknown,
  broker: unknown,
  handles: unknown,
  options: Record<string, unknown>,
): HandlerDefinition {
  const faults = [
    ...faultsOfSources(kind, sources),
    ...faultsOfHandles(kind, handles),
    ...(isText(broker) ? [] : ['broker must be a name under [brokers]']),
    ...faultsOfOptions(options),
    ...(options['reset'] === undefined || kind === 'projector' ? [] : ['reset is for projectors']),
  ];
  const all = isRecord(handles) ? Object.entries(handles) : [];
  return Object.freeze({
    [handlerMark]: kind,
    // What is not of its type is in `faults`, and a definition with faults is not taken.
    options: Object.freeze(options as HandlerOptions),
    sources: Object.freeze(Array.isArray(sources) ? sources.filter(isText) : []),
    broker: String(broker),
    batch: null,
    handles: new Map(all.flatMap(([name, value]) => handlingIn(name, value))),
    faults: Object.freeze(faults),
    place: placeOfCall(maker),
  });
}

function handlingIn(name: string, value: unknown): readonly (readonly [string, Handling])[] {
  // What it is was checked with all entries of it; with a fault the definition is not taken.
  if (typeof value === 'function') return [[name, value as HandlerFunction]];
  return isRecord(value) ? [[name, new Map(Object.entries(value).filter(isFunctionEntry))]] : [];
}

const isFunctionEntry = (entry: [string, unknown]): entry is [string, HandlerFunction] =>
  typeof entry[1] === 'function';

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function faultsOfSources(kind: HandlerKind, sources: unknown): readonly string[] {
  if (Array.isArray(sources) && sources.length > 0 && sources.every(isText)) return [];
  if (kind === 'subscriber') return ["stream must be the name of a stream, like 'external-orders'"];
  if (kind === 'command_handler') return ["category must be the name of a category, like 'order'"];
  return ["categories must be a list of names of categories, like ['order']"];
}

function faultsOfHandles(kind: HandlerKind, handles: unknown): readonly string[] {
  const entries = isRecord(handles) ? Object.entries(handles) : [];
  if (kind === 'subscriber') return entries.every(isFunctionEntry) ? [] : ['handle must be a function'];
  if (entries.length === 0) return ['handles must have a function for each message name: it has none'];
  return entries.flatMap(([name, value]) => faultsOfHandling(kind, `handles.${name}`, value));
}

function faultsOfHandling(kind: HandlerKind, at: string, value: unknown): readonly string[] {
  if (typeof value === 'function') return [];
  if (!isRecord(value)) return [`${at} must be a function, not ${value === null ? 'null' : typeof value}`];
  if (kind === 'command_handler') return [`${at} must be one function: a command is carried out once`];
  const siblings = Object.entries(value);
  if (siblings.length === 0) return [`${at} must have at least one function`];
  return siblings.flatMap(([name, each]) => [
    ...(/^[\w.-]{1,64}$/.test(name) ? [] : [`${at}: a function is named by 1–64 letters, digits, _ . and -`]),
    ...(typeof each === 'function' ? [] : [`${at}.${name} must be a function, not ${typeof each}`]),
  ]);
}

const optionTypes: ReadonlyMap<string, 'text' | 'table' | 'function'> = new Map([
  ['name', 'text'],
  ['group', 'text'],
  ['database', 'text'],
  ['profile', 'text'],
  ['sequentialBy', 'text'],
  ['subscription', 'table'],
  ['examples', 'table'],
  ['handleError', 'function'],
  ['reset', 'function'],
]);

const isOf = { text: isText, table: isRecord, function: (value: unknown) => typeof value === 'function' };
const names = { text: 'a text that is not empty', table: 'a table', function: 'a function' };

function faultsOfOptions(options: Record<string, unknown>): readonly string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const type = optionTypes.get(key);
    if (type === undefined) return [`has an unknown option ${key}; known are ${[...optionTypes.keys()].join(', ')}`];
    if (value === undefined || isOf[type](value)) return [];
    return [`${key} must be ${names[type]}`];
  });
}
