import type { Delivery } from '../broker/broker.ts';
import type { Opened } from './opened.ts';

/** What every fact about a delivery says of it; `opened` is null where that is not known any more. */
export const aboutDelivery = (subscription: string, group: string, delivery: Delivery, opened: Opened | null) => ({
  subscription,
  stream: delivery.stream,
  group,
  entry_id: delivery.id,
  message_id: opened?.messageId ?? null,
  message_type: opened?.messageType ?? null,
  correlation_id: opened?.correlationId ?? null,
  attempt: delivery.attempt,
});
