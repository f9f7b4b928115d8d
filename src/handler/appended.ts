import type { AggregateName, AskedAppend } from '../message/aggregate.ts';
import { isObject } from '../message/codec.ts';
import type { NewMessage } from '../message/compose.ts';
import type { MessageOptions } from '../message/new-message.ts';
import { appendOptions, newMessage, requireStorable } from '../message/new-message.ts';
import { categoryOf, streamOf } from '../message/stream-name.ts';

/** From where events are appended. */
export interface AppendCall {
  /** `ctx.append`: how messages about a fault begin. */
  readonly call: string;
  readonly domain: string;
  /** What each event takes with it from the message in hand, and how the catalog wants it. */
  readonly carry: (event: NewMessage) => NewMessage;
  /** What may be said of an event. */
  readonly known?: MessageOptions;
}

/**
 * The append of a call of `ctx.append` or of a client's `append`, checked. `carry` gives each event what it takes from the
 * message in hand, and makes it as the catalog wants it. Throws TypeError that names what is wrong, without its content.
 */
export function askedAppend(
  aggregate: AggregateName,
  events: unknown,
  given: unknown,
  { call, domain, carry, known = appendOptions }: AppendCall,
): AskedAppend {
  const { category, id } = namesIn(aggregate, call);
  const { expectedVersion = null, ...unknown } = optionsIn(given, call);
  const [other] = Object.keys(unknown);
  if (other !== undefined) throw new TypeError(`${call}: unknown option ${other}; known is expectedVersion`);
  if (expectedVersion !== null && !isVersion(expectedVersion)) {
    throw new TypeError(`${call}: expectedVersion must be a whole number from -1`);
  }
  if (!Array.isArray(events)) throw new TypeError(`${call}: the events must be a list`);
  const checked = events.map((event: unknown): NewMessage => {
    if (!isObject(event)) throw new TypeError(`${call}: an event must be an object of type and data`);
    const { type, data, ...options } = event;
    const of = `${call}, ${typeof type === 'string' ? type.slice(0, 128) : 'an event'}`;
    const made = newMessage({ call: of, kind: 'EVENT', name: type, category, id, data, options }, known, domain);
    requireStorable(made.dataText, `${of}: data`);
    return carry(made);
  });
  return { stream: streamOf(categoryOf(domain, category), id), expectedVersion, events: checked };
}

/** The category with its domain, and the id. Throws TypeError. */
export function namesIn(aggregate: unknown, call: string): AggregateName {
  if (!isObject(aggregate)) throw new TypeError(`${call} needs an aggregate: { category, id }`);
  const { category, id } = aggregate;
  // The rules of names are those of a message that is raised there.
  newMessage({ call, kind: 'EVENT', name: 'Any', category, id, data: {}, options: {} }, appendOptions, null);
  return { category: String(category), id: String(id) };
}

function optionsIn(given: unknown, call: string): { readonly [name: string]: unknown } {
  if (given === undefined) return {};
  if (!isObject(given)) throw new TypeError(`${call}: the options must be an object`);
  return given;
}

const isVersion = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= -1;
