import type { Delivery } from '../broker/broker.ts';
import { answerOnce } from '../handler/answer-once.ts';
import type { Idempotency } from '../handler/idempotency.ts';
import { idempotencyKeyOf } from '../handler/idempotency.ts';
import type { Incoming } from '../handler/incoming.ts';
import { correlationIdOf, openExternal } from '../handler/incoming.ts';
import type { Invocable, InvokeDeps, Outcome } from '../handler/invoke.ts';
import { invoke } from '../handler/invoke.ts';
import type { QuickRetries, QuickRetriesDeps } from '../handler/quick-retries.ts';
import { withQuickRetries } from '../handler/quick-retries.ts';
import { openCatalog } from '../message/catalog.ts';
import { decode } from '../message/codec.ts';
import { deadlineIn, deadlinePassed } from '../message/deadline.ts';
import type { Message } from '../message/message.ts';
import { originOf } from '../message/stream-name.ts';
import { DecodeError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { Opened } from './opened.ts';

export interface OpenDeps extends InvokeDeps, QuickRetriesDeps {
  readonly quickRetries: QuickRetries;
  /** Where the keys of commands are kept; left out, a key means nothing. */
  readonly idempotency?: Idempotency;
}

/**
 * Decodes deliveries for one handler: messages with their envelope, or the raw payloads of an external stream. What
 * cannot be decoded is opened too, as a delivery whose handling has failed already.
 */
export function createOpen(
  handler: Invocable & { readonly kind: string },
  deps: OpenDeps,
): (delivery: Delivery) => Opened {
  const external = handler.kind === 'subscriber';
  const { catalog = openCatalog, idempotency, clock } = deps;

  function incomingIn({ body, stream, id, bare, raw }: Delivery): Incoming {
    if (raw !== null) throw new DecodeError('not_utf8', 'the body is not UTF-8');
    if (external) return openExternal(body, stream, id);
    if (bare) throw new DecodeError('no_data_field', 'the entry has no field named data');
    return decode(body);
  }

  /**
   * The message as the handler is to see it. One that it has no function for is another handler's to refuse. Whatever is
   * wrong is the outcome of the attempt: no handler is called.
   */
  function prepared(incoming: Incoming): Incoming | Error {
    if (incoming.kind === 'EXTERNAL') return incoming;
    if (!handles(incoming)) return incoming;
    const deadlineAt = deadlineIn(incoming.metadata.headers);
    if (deadlineAt !== null && deadlineAt <= clock.now()) return deadlinePassed(deadlineAt);
    try {
      return catalog.incoming(incoming);
    } catch (thrown) {
      return toError(thrown);
    }
  }

  /** Only where the command is carried out: another handler's command is not this one's to claim. */
  const keyOf = (incoming: Incoming): string | null =>
    handler.kind === 'command_handler' && incoming.kind !== 'EXTERNAL' && handles(incoming)
      ? idempotencyKeyOf(incoming)
      : null;

  const handles = ({ name }: Message): boolean => handler.handles.has(name) || handler.handles.has('$any');

  return (delivery) => {
    let incoming: Incoming;
    try {
      incoming = incomingIn(delivery);
    } catch (thrown) {
      const error = toError(thrown);
      return { ...unreadable, key: delivery.id, run: async () => ({ kind: 'failed', error }) };
    }
    const { id: entryId } = delivery;
    // What the first call was given may have been changed by it; the next one gets its own.
    let fresh: Incoming | null = incoming;
    const take = (): Incoming | Error => {
      const given = prepared(fresh ?? incomingIn(delivery));
      fresh = null;
      return given;
    };
    return {
      // Entries of external streams name no aggregate: each is its own.
      key: incoming.kind === 'EXTERNAL' ? entryId : incoming.stream,
      messageId: incoming.id,
      messageType: incoming.kind === 'EXTERNAL' ? null : incoming.type,
      correlationId: correlationIdOf(incoming),
      raisedAt: incoming.kind === 'EXTERNAL' ? null : instantOf(incoming.time),
      run({ attempt, signal }) {
        let ended: Set<string> | null = null;
        const done = () => {
          ended ??= new Set();
          return ended;
        };
        const call = async (): Promise<Outcome> => {
          const given = take();
          if (given instanceof Error) return { kind: 'failed', error: given };
          return invoke(handler, given, { entryId, attempt, signal, done }, deps);
        };
        const attempted = () => withQuickRetries(call, deps.quickRetries, deps);
        const key = keyOf(incoming);
        if (key === null || idempotency === undefined) return attempted();
        const origin = originOf(delivery.stream);
        // A replay was asked for by somebody who knows that it has failed.
        const asked = { key, owner: `${origin}#${entryId}`, again: origin !== delivery.stream };
        return answerOnce(asked, idempotency, attempted);
      },
      take() {
        const given = take();
        return given instanceof Error || given.kind === 'EXTERNAL' ? null : given;
      },
    };
  };
}

const unreadable = { messageId: null, messageType: null, correlationId: null, raisedAt: null };

function instantOf(time: string | null): number | null {
  const instant = time === null ? Number.NaN : Date.parse(time);
  return Number.isNaN(instant) ? null : instant;
}
