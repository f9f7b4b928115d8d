import { isObject } from '../message/codec.ts';
import type { NewMessage } from '../message/compose.ts';
import type { JsonObject, TraceParent } from '../message/message.ts';
import { categoryOf, isCategory, isPartitionKey } from '../message/stream-name.ts';
import { isMessageName } from '../message/type-name.ts';

/** An event or a command as it goes into the outbox. Its payload is text, so later changes to the object do not show. */
export type Raised = NewMessage;

/** What a message that is brought forth carries on from the message in hand. */
export interface Lineage {
  /** The normalised name of the domain. */
  readonly domain: string;
  readonly correlationId: string;
  readonly causationId: string;
  readonly traceparent: TraceParent | null;
}

/** The event of a call of `ctx.raise`. Throws TypeError that names the option where one is not what it must be. */
export function raisedEvent(name: unknown, given: unknown, lineage: Lineage): Raised {
  const call = `ctx.raise(${JSON.stringify(name)})`;
  const { category, id, data, ...options } = tableOf(given, call);
  if (id === undefined) throw new TypeError(`${call}: id must be the id of the aggregate`);
  return raised('EVENT', name, category, id, data, options, eventOptions, lineage, call);
}

/** The command of a call of `ctx.process`. Throws TypeError as above. */
export function raisedCommand(name: unknown, data: unknown, given: unknown, lineage: Lineage): Raised {
  const call = `ctx.process(${JSON.stringify(name)})`;
  const { category, id, ...options } = tableOf(given, call);
  return raised('COMMAND', name, category, id, data, options, commandOptions, lineage, call);
}

function raised(
  kind: Raised['kind'],
  name: unknown,
  category: unknown,
  id: unknown,
  data: unknown,
  options: JsonObject,
  known: ReadonlyMap<string, Option>,
  { domain, correlationId, causationId, traceparent }: Lineage,
  call: string,
): Raised {
  if (!isText(name) || !isMessageName(name)) throw new TypeError(`${call}: a message is named like OrderPlaced`);
  if (!isText(category) || !isCategory(category)) {
    throw new TypeError(`${call}: category must be a name like 'order', without : - { } and spaces`);
  }
  if (id !== undefined && !isId(id)) throw new TypeError(`${call}: id must be a text of 1 to 512 characters`);
  if (!isObject(data)) throw new TypeError(`${call}: data must be an object`);
  return {
    kind,
    name,
    category: categoryOf(domain, category),
    id: id ?? null,
    dataText: JSON.stringify(data),
    options: {
      ...checked(options, known, call),
      correlation_id: correlationId,
      causation_id: causationId,
      ...(traceparent === null ? {} : { traceparent: { ...traceparent } }),
    },
  };
}

interface Option {
  /** As the SQL functions name it. */
  readonly key: string;
  readonly what: string;
  readonly holds: (value: unknown) => boolean;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isId = (value: unknown): value is string => isText(value) && value.length <= 512;
const isWhole = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
/** With its zone: without one, every database and process would take its own. */
const isInstant = (value: unknown): boolean =>
  isText(value) && /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/.test(value) && !Number.isNaN(Date.parse(value));

/** The same rules as those of the SQL functions, so that a mistake is told where it is made, on every database. */
const commonOptions: readonly (readonly [string, Option])[] = [
  ['version', { key: 'version', what: 'a whole number from 1', holds: (value) => isWhole(value, 1, 999_999_999) }],
  ['priority', { key: 'priority', what: 'a whole number', holds: (value) => isWhole(value, -(2 ** 31), 2 ** 31 - 1) }],
  [
    'partitionKey',
    {
      key: 'partition_key',
      what: 'at most 255 characters without : { }, and no reserved word',
      holds: (value) => isText(value) && isPartitionKey(value, 'backfill'),
    },
  ],
  ['deliverAt', { key: 'deliver_at', what: 'a time in ISO-8601 with its zone', holds: isInstant }],
  ['extensions', { key: 'extensions', what: 'an object', holds: isObject }],
];

const eventOptions: ReadonlyMap<string, Option> = new Map([
  ...commonOptions,
  ['published', { key: 'published', what: 'true or false', holds: (value) => typeof value === 'boolean' }],
]);

const commandOptions: ReadonlyMap<string, Option> = new Map([
  ...commonOptions,
  ['idempotencyKey', { key: 'idempotency_key', what: 'a text that is not empty', holds: isText }],
  ['deadline', { key: 'deadline', what: 'a time in ISO-8601 with its zone', holds: isInstant }],
]);

function checked(options: JsonObject, known: ReadonlyMap<string, Option>, call: string): JsonObject {
  // Callers without types may pass undefined, for an option that they leave out.
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const option = known.get(name);
      if (option === undefined) {
        throw new TypeError(`${call}: unknown option ${name}; known are ${[...known.keys()].join(', ')}`);
      }
      if (!option.holds(value)) throw new TypeError(`${call}: ${name} must be ${option.what}`);
      return [option.key, value];
    }),
  );
}

function tableOf(given: unknown, call: string): JsonObject {
  if (!isObject(given)) throw new TypeError(`${call} needs its options: category, …`);
  return given;
}
