import { projector } from 'domaind';

/** What each customer has ordered so far. Reading locks the document, so no order is lost between two at once. */
export const OrderSummary = projector({
  categories: ['order'],
  handles: {
    OrderPlaced: (event, ctx) => add(event.data, 1, ctx),
    OrderCancelled: (event, ctx) => add(event.data, -1, ctx),
  },
});

async function add({ customer, items }, times, ctx) {
  const summaries = ctx.store('order_summaries');
  const { orders, books } = (await summaries.get(customer)) ?? { orders: 0, books: 0 };
  await summaries.put(customer, { orders: orders + times, books: books + times * items.length });
}
