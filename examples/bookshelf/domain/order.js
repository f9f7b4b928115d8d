import { NonRetryableError } from 'domaind';

/**
 * The aggregate: what an order is, and what may be done to it. Nothing here knows of databases and messages; each function
 * answers the order as it is then, and the events that tell of it.
 */
export function place({ order_id, customer, items }) {
  if (!Array.isArray(items) || items.length === 0) throw new NonRetryableError('an order needs at least one item');
  return {
    order: { customer, items, status: 'placed' },
    events: [['OrderPlaced', { order_id, customer, items }]],
  };
}

export function cancel(order_id, order) {
  if (order === null) throw new NonRetryableError('there is no such order');
  if (order.status === 'cancelled') return { order, events: [] };
  const { customer, items } = order;
  return {
    order: { ...order, status: 'cancelled' },
    events: [['OrderCancelled', { order_id, customer, items }]],
  };
}

/** Keeps an order with its events, in the transaction that `store` and `raise` belong to: both or neither. */
export async function save(order_id, { order, events }, { store, raise }) {
  await store('orders').put(order_id, order);
  for (const [name, data] of events) raise(name, { category: 'order', id: order_id, data });
}
