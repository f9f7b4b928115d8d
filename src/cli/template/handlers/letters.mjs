import { eventHandler, NonRetryableError } from 'domaind';

/** Writes a letter for every order. Take the line with the throw out, and what has failed can be replayed. */
export const Letters = eventHandler({
  category: 'order',
  handles: {
    async OrderPlaced(event, ctx) {
      const { order_id, customer } = event.data;
      if (customer === 'Nobody') throw new NonRetryableError('Nobody has no address');
      await ctx.store('letters').put(order_id, { text: `Dear ${customer}, thank you for ${order_id}.` });
      ctx.log.info('a letter goes out', { order_id });
    },
  },
});
