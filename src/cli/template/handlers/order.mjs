import { commandHandler, NonRetryableError } from 'domaind';

/** Takes orders: keeps each as a document and says that it was placed, in one transaction. */
export const Orders = commandHandler({
  category: 'order',
  examples: { PlaceOrder: { order_id: 'ord-1', customer: 'Ada' } },
  handles: {
    async PlaceOrder(command, ctx) {
      const { order_id, customer } = command.data;
      if (!order_id) throw new NonRetryableError('an order needs an order_id');
      await ctx.store('orders').put(order_id, { customer, status: 'placed' });
      ctx.raise('OrderPlaced', { category: 'order', id: order_id, data: { order_id, customer } });
    },
  },
});
