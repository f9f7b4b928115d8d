import { commandHandler } from 'domaind';
import { cancel, place, save } from '../domain/order.js';

/** Takes orders and cancels them: the aggregate and its events are kept in one transaction. */
export const OrderCommandHandler = commandHandler({
  category: 'order',
  examples: { PlaceOrder: { customer: 'Ada', items: ['Dune'] } },
  handles: {
    async PlaceOrder(command, ctx) {
      // The id of a command stays the same however often it is delivered, so it does for an order that brings none.
      const { order_id = command.id, customer, items } = command.data;
      await save(order_id, place({ order_id, customer, items }), ctx);
      return { order_id };
    },
    async CancelOrder(command, ctx) {
      const { order_id } = command.data;
      // Read and locked: whoever else wants this order waits.
      const order = await ctx.store('orders').get(order_id);
      await save(order_id, cancel(order_id, order), ctx);
      return { order_id };
    },
  },
});
