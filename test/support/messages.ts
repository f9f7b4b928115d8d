import type { External } from '../../src/handler/incoming.ts';
import type { JsonObject, Message } from '../../src/message/message.ts';

/** A message as the codec makes it: named `OrderPlaced`, unless told otherwise. */
export function aMessage({
  id = 'bookshelf::order-42-0.1',
  kind = 'EVENT' as Message['kind'],
  name = 'OrderPlaced',
  data = {} as JsonObject,
  correlationId = null as string | null,
} = {}): Message {
  const category = kind === 'EVENT' ? 'bookshelf::order' : 'bookshelf::order:command';
  const type = `Bookshelf.${name}.v1`;
  const stream = `${category}-42`;
  return {
    id,
    kind,
    type,
    name,
    version: 1,
    stream,
    category,
    time: '2026-11-23T14:34:47.511920+00:00',
    data,
    metadata: {
      headers: { id, time: null, type, stream, traceparent: null, idempotency_key: null, deadline: null },
      envelope: { specversion: '1.0', checksum: null },
      domain: {
        fqn: null,
        kind,
        origin_stream: null,
        stream_category: category,
        version: 1,
        sequence_id: null,
        asynchronous: true,
        expected_version: null,
        priority: 0,
        correlation_id: correlationId,
        causation_id: null,
      },
      event_store: null,
      extensions: {},
    },
  };
}

/** An entry of an external stream with this payload. */
export const anExternal = (payload: External['payload']): External => ({
  kind: 'EXTERNAL',
  id: 'external-orders#1-0',
  stream: 'external-orders',
  correlationId: null,
  traceparent: null,
  payload,
});
