import type { ProcessOptions, RaiseOptions } from '../handler/handler.ts';
import { isObject } from '../message/codec.ts';
import type { NewMessage } from '../message/compose.ts';
import type { JsonObject, TraceParent } from '../message/message.ts';
import { carriedOptions, commandOptions, eventOptions, newMessage, placeOptions } from '../message/new-message.ts';

/** What a handler takes from the message in hand, and an application says itself. */
export interface CarriedOptions {
  /** What ties together all that one request brings about. */
  readonly correlationId?: string;
  /** The id of the message that this one comes of. */
  readonly causationId?: string;
  /** A W3C `traceparent`, as requests have it, or its parts. */
  readonly traceparent?: TraceParent | string;
  /** Instead of a fresh one. */
  readonly messageId?: string;
  readonly expectedVersion?: number;
}

export interface ClientRaiseOptions<Data> extends RaiseOptions<Data>, CarriedOptions {
  /** The version of the aggregate that the event belongs to; in its id. */
  readonly aggregateVersion?: number;
  /** The event's place among those of that version, instead of one made of the time. */
  readonly sequence?: number;
}

export interface ClientProcessOptions extends ProcessOptions, CarriedOptions {}

const ofEvents = new Map([...eventOptions, ...carriedOptions, ...placeOptions]);
const ofCommands = new Map([...commandOptions, ...carriedOptions]);

/** The event of a call of `raise`. Throws TypeError that names what is wrong. */
export function eventOf(name: unknown, given: unknown): NewMessage {
  const call = `raise(${JSON.stringify(name)})`;
  const { category, id, data, ...options } = optionsIn(given, call);
  return newMessage({ call, kind: 'EVENT', name, category, id, data, options }, ofEvents, null);
}

/** The command of a call of `process`. Throws TypeError that names what is wrong. */
export function commandOf(name: unknown, data: unknown, given: unknown): NewMessage {
  const call = `process(${JSON.stringify(name)})`;
  const { category, id, ...options } = optionsIn(given, call);
  return newMessage({ call, kind: 'COMMAND', name, category, id, data, options }, ofCommands, null);
}

function optionsIn(given: unknown, call: string): JsonObject {
  if (!isObject(given)) throw new TypeError(`${call} needs its options: category, …`);
  return given;
}
