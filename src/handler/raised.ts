import { isObject } from '../message/codec.ts';
import type { NewMessage } from '../message/compose.ts';
import type { JsonObject, TraceParent } from '../message/message.ts';
import { commandOptions, eventOptions, newMessage } from '../message/new-message.ts';

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
  const asked = { call, kind: 'EVENT', name, category, id, data, options } as const;
  return withLineage(newMessage(asked, eventOptions, lineage.domain), lineage);
}

/** The command of a call of `ctx.process`. Throws TypeError as above. */
export function raisedCommand(name: unknown, data: unknown, given: unknown, lineage: Lineage): Raised {
  const call = `ctx.process(${JSON.stringify(name)})`;
  const { category, id, ...options } = tableOf(given, call);
  const asked = { call, kind: 'COMMAND', name, category, id, data, options } as const;
  return withLineage(newMessage(asked, commandOptions, lineage.domain), lineage);
}

/** With what it carries on from the message in hand. */
export const withLineage = (message: NewMessage, { correlationId, causationId, traceparent }: Lineage): Raised => ({
  ...message,
  options: {
    ...message.options,
    correlation_id: correlationId,
    causation_id: causationId,
    ...(traceparent === null ? {} : { traceparent: { ...traceparent } }),
  },
});

function tableOf(given: unknown, call: string): JsonObject {
  if (!isObject(given)) throw new TypeError(`${call} needs its options: category, …`);
  return given;
}
