import { commandHandler, NonRetryableError } from 'domaind';

/** Takes orders: keeps each as a document and says that it was placed, in one transaction. */
export const OrderCommandHandler = commandHandler({
  category: 'order',
  examples: { PlaceOrder: { customer: 'Ada', items: ['Dune'] } },
  handles: {
    async PlaceOrder(command, ctx) {
      // The id of a command stays the same however often it is delivered, so it does for an order that brings none.
      const { order_id = command.id, customer, items } = command.data;
      if (!Array.isArray(items) || items.length === 0) throw new NonRetryableError('an order needs at least one item');

      await ctx.store('orders').put(order_id, { customer, items, status: 'placed' });
      ctx.raise('OrderPlaced', { category: 'order', id: order_id, data: { order_id, customer, items } });
    },
  },
});
