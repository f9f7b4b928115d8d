import type { DomainConfig } from '../config/config.ts';
import type { JsonObject } from '../message/message.ts';
import { categoryOf, commandCategory, isCategory, isStreamName } from '../message/stream-name.ts';
import type { Batch, ErrorHook, HandlerDefinition, HandlerKind, HandlerOptions, Handling } from './handler.ts';
import { handlerMark } from './handler.ts';

/** A handler of a module, with its names as the domain knows them: what a subscription is made from. */
export interface LoadedHandler {
  readonly name: string;
  readonly kind: HandlerKind;
  /** The consumer group: `bookshelf.OrderSummary`, or the one that the handler names. */
  readonly group: string;
  /** In full: `bookshelf::order`, for command handlers `bookshelf::order:command`. None for subscribers. */
  readonly categories: readonly string[];
  /** What it reads: its categories, or its external stream. */
  readonly streams: readonly string[];
  /** A subscriber's broker; `default` for the others. */
  readonly broker: string;
  readonly database: string;
  readonly handles: ReadonlyMap<string, Handling>;
  /** Of a projector that takes many messages at once. */
  readonly batch: Batch | null;
  /** Told of each attempt that failed. */
  readonly handleError: ErrorHook | null;
  /** Empties the read model of a projector; null where it has no such function. */
  readonly reset: NonNullable<HandlerOptions['reset']> | null;
  /** Other names of its table `[server.subscriptions.<name>]`: `Commands:order`. */
  readonly aliases: readonly string[];
  readonly profile: string | null;
  readonly subscription: NonNullable<HandlerOptions['subscription']> | null;
  /** Payloads to try, by message name. */
  readonly examples: ReadonlyMap<string, JsonObject>;
  /** Absolute. */
  readonly file: string;
  readonly exportName: string;
  /** `file:line:column` of its definition, or the file alone. */
  readonly place: string;
}

/** An export that the mark tells to be a handler. */
export interface Export {
  readonly file: string;
  readonly name: string;
  readonly definition: HandlerDefinition;
}

/** The handler of an export; `faults` are sentences about it, and with any of them it must not be used. */
export function toLoadedHandler(
  { file, name: exportName, definition }: Export,
  { normalized: domain }: DomainConfig,
): { readonly handler: LoadedHandler; readonly faults: readonly string[] } {
  const { options, sources, broker, handles, batch, place } = definition;
  const kind = definition[handlerMark];
  const name = options.name ?? exportName;
  const group = options.group ?? `${domain}.${name}`;
  const isSubscriber = kind === 'subscriber';
  const full = sources.map((source) => categoryOf(domain, source));
  const categories = isSubscriber ? [] : kind === 'command_handler' ? full.map(commandCategory) : full;
  const faults = [
    ...definition.faults,
    ...(exportName === 'default' && options.name === undefined ? ['a default export needs `name`'] : []),
    ...(isHandlerName(name) ? [] : [`the name ${JSON.stringify(name)} must be 1–128 letters, digits, _ . and -`]),
    ...(isGroup(group) ? [] : [`the group ${JSON.stringify(group)} must be 1–255 characters without : { } and spaces`]),
    ...sources.flatMap((source) => (isSubscriber ? faultOfStream(source) : faultOfCategory(source))),
  ];
  const handler: LoadedHandler = {
    name,
    kind,
    group,
    categories,
    streams: isSubscriber ? sources : categories,
    broker,
    database: options.database ?? 'default',
    handles,
    // A definition of an older copy of this package has none.
    batch: batch ?? null,
    handleError: options.handleError ?? null,
    reset: options.reset ?? null,
    aliases: kind === 'command_handler' ? sources.map((source) => `Commands:${source}`) : [],
    profile: options.profile ?? null,
    subscription: subscriptionOf(options),
    examples: new Map(Object.entries(options.examples ?? {})),
    file,
    exportName,
    place: place ?? file,
  };
  return { handler, faults };
}

function subscriptionOf({ subscription, sequentialBy }: HandlerOptions): LoadedHandler['subscription'] {
  if (sequentialBy === undefined) return subscription ?? null;
  return { ...subscription, sequential_by: sequentialBy };
}

const isHandlerName = (name: string): boolean => /^[\p{L}\p{N}_$][\p{L}\p{N}_$.-]{0,127}$/u.test(name);

/** The group is a part of names whose parts `:` sets apart. */
const isGroup = (group: string): boolean => isStreamName(group) && !group.includes(':');

const faultOfStream = (stream: string): readonly string[] =>
  isStreamName(stream) ? [] : [`the stream ${JSON.stringify(stream)} must be 1–255 characters without { } and spaces`];

const faultOfCategory = (source: string): readonly string[] =>
  isCategory(source)
    ? []
    : [`the category ${JSON.stringify(source)} must be a name like 'order', without : - { } and spaces`];
