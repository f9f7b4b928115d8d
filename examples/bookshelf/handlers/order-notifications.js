import { eventHandler } from 'domaind';

/**
 * Tells the customer. A message may be delivered twice, and a mail cannot be taken back: a mail service that takes an
 * idempotency key would get `event.id`.
 */
export const OrderNotifications = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced(event, ctx) {
      ctx.log.info('the customer is told', { order_id: event.data.order_id, items: event.data.items.length });
    },
  },
});
