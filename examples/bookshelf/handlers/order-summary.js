import { projector } from 'domaind';

/** What each customer has ordered so far. Reading locks the document, so no order is lost between two at once. */
export const OrderSummary = projector({
  categories: ['order'],
  handles: {
    async OrderPlaced(event, ctx) {
      const { customer, items } = event.data;
      const summaries = ctx.store('order_summaries');

      const { orders, books } = (await summaries.get(customer)) ?? { orders: 0, books: 0 };
      await summaries.put(customer, { orders: orders + 1, books: books + items.length });
    },
  },
});
