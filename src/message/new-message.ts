import { isObject } from './codec.ts';
import type { NewMessage } from './compose.ts';
import { jsonText } from './json-text.ts';
import type { Json, JsonObject, Kind } from './message.ts';
import { categoryOf, isCategory, isPartitionKey } from './stream-name.ts';
import { parseTraceparent } from './traceparent.ts';
import { isMessageName } from './type-name.ts';

/** How a caller's option is checked, and what the SQL functions of the outbox call it. */
export interface MessageOption {
  readonly key: string;
  readonly what: string;
  readonly holds: (value: unknown) => boolean;
  /** What is kept of it, where that is not the value itself. */
  readonly kept?: (value: unknown) => unknown;
}

/** By the name that callers use. */
export type MessageOptions = ReadonlyMap<string, MessageOption>;

export interface Asked {
  /** `ctx.raise("OrderPlaced")`: how messages about a fault begin. */
  readonly call: string;
  readonly kind: Kind;
  readonly name: unknown;
  readonly category: unknown;
  readonly id: unknown;
  readonly data: unknown;
  readonly options: { readonly [name: string]: unknown };
}

/**
 * The message that a caller asks for, checked by the rules of the SQL functions, so that a mistake is told where it is
 * made and on every database. Throws TypeError that names what is wrong, without any of its content. `domain` goes before a
 * category that names none; null leaves that to the SQL functions.
 */
export function newMessage(asked: Asked, known: MessageOptions, domain: string | null): NewMessage {
  const { call, kind, name, category, id, data, options } = asked;
  if (!isText(name) || !isMessageName(name)) throw new TypeError(`${call}: a message is named like OrderPlaced`);
  if (!isText(category) || !isCategory(category)) {
    throw new TypeError(`${call}: category must be a name like 'order', without : - { } and spaces`);
  }
  if (kind === 'EVENT' && id === undefined) throw new TypeError(`${call}: id must be the id of the aggregate`);
  if (id !== undefined && !isId(id)) throw new TypeError(`${call}: id must be a text of 1 to 512 characters`);
  if (!isObject(data)) throw new TypeError(`${call}: data must be an object`);
  return {
    kind,
    name,
    category: domain === null ? category : categoryOf(domain, category),
    id: id ?? null,
    dataText: jsonText(data, `${call}: data`),
    options: checked(options, known, call),
  };
}

function checked(options: Asked['options'], known: MessageOptions, call: string): JsonObject {
  // Callers without types may pass undefined, for an option that they leave out.
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const option = known.get(name);
      if (option === undefined) {
        throw new TypeError(`${call}: unknown option ${name}; known are ${[...known.keys()].join(', ')}`);
      }
      if (!option.holds(value)) throw new TypeError(`${call}: ${name} must be ${option.what}`);
      return [option.key, storable(option.kept === undefined ? value : option.kept(value), `${call}: ${name}`)];
    }),
  );
}

/** Options are kept as jsonb, which has no place for U+0000 and for half a surrogate pair; payloads may hold both. */
function storable(value: unknown, name: string): Json {
  const text = jsonText(value, name);
  requireStorable(text, name);
  return JSON.parse(text) as Json;
}

/** Throws TypeError for JSON that jsonb cannot hold. */
export function requireStorable(text: string, name: string): void {
  if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(text)) {
    throw new TypeError(`${name} has a character that cannot be kept: U+0000, or half of a surrogate pair`);
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isId = (value: unknown): value is string =>
  isText(value) && value.length <= 512 && !/[\0\ud800-\udfff]/u.test(value);
const isWhole = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
/** With its zone: without one, every database and process would take its own. */
const isInstant = (value: unknown): boolean =>
  isText(value) && /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/.test(value) && !Number.isNaN(Date.parse(value));
const isTrace = (value: unknown): boolean =>
  isObject(value) &&
  /^[0-9a-f]{32}$/.test(String(value['trace_id'])) &&
  /^[0-9a-f]{16}$/.test(String(value['parent_id'])) &&
  typeof value['sampled'] === 'boolean';

const text = (key: string): MessageOption => ({ key, what: 'a text that is not empty', holds: isText });
const instant = (key: string): MessageOption => ({ key, what: 'a time in ISO-8601 with its zone', holds: isInstant });
const whole = (key: string, what: string, least: number, most: number): MessageOption => ({
  key,
  what,
  holds: (value) => isWhole(value, least, most),
});

const commonOptions: MessageOptions = new Map([
  ['version', whole('version', 'a whole number from 1', 1, 999_999_999)],
  ['priority', whole('priority', 'a whole number', -(2 ** 31), 2 ** 31 - 1)],
  [
    'partitionKey',
    {
      key: 'partition_key',
      what: 'at most 255 characters without : { }, and no reserved word',
      holds: (value) => isText(value) && isPartitionKey(value, 'backfill'),
    },
  ],
  ['deliverAt', instant('deliver_at')],
  ['extensions', { key: 'extensions', what: 'an object', holds: isObject }],
]);

/** What may be said of an event. */
export const eventOptions: MessageOptions = new Map([
  ...commonOptions,
  ['published', { key: 'published', what: 'true or false', holds: (value) => typeof value === 'boolean' }],
]);

/** What may be said of an event that is appended: it is there at once, so not when. */
export const appendOptions: MessageOptions = new Map([...eventOptions].filter(([name]) => name !== 'deliverAt'));

/** What may be said of a command. */
export const commandOptions: MessageOptions = new Map([
  ...commonOptions,
  ['idempotencyKey', text('idempotency_key')],
  ['deadline', instant('deadline')],
]);

/** What handlers carry on from the message in hand, and others say themselves. */
export const carriedOptions: MessageOptions = new Map([
  ['correlationId', text('correlation_id')],
  ['causationId', text('causation_id')],
  [
    'traceparent',
    {
      key: 'traceparent',
      what: 'a W3C traceparent, or an object of trace_id, parent_id and sampled',
      holds: (value) => isTrace(value) || (isText(value) && parseTraceparent(value) !== null),
      kept: (value) => (isText(value) ? parseTraceparent(value) : value),
    },
  ],
  ['messageId', text('message_id')],
  ['expectedVersion', whole('expected_version', 'a whole number from -1', -1, Number.MAX_SAFE_INTEGER)],
]);

/** The place of an event among those of its aggregate, for those who know it. */
export const placeOptions: MessageOptions = new Map([
  ['aggregateVersion', whole('aggregate_version', 'a whole number from 0', 0, Number.MAX_SAFE_INTEGER)],
  ['sequence', whole('sequence', 'a whole number from 0', 0, Number.MAX_SAFE_INTEGER)],
]);
