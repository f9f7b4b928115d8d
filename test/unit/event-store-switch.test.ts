import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandHandler, eventHandler, projector } from '../../src/index.ts';
import type { TestDomain } from '../../src/testing.ts';
import { testDomain } from '../../src/testing.ts';

const Orders = commandHandler({
  category: 'order',
  handles: {
    PlaceOrder: async ({ data }, ctx) => {
      await ctx.store('orders').put(data.order_id, { items: data.items, state: 'placed' });
      ctx.raise('OrderPlaced', { category: 'order', id: data.order_id, data });
    },
    ShipOrder: async ({ data }, ctx) => {
      const orders = ctx.store('orders');
      await orders.put(data.order_id, { ...(await orders.get(data.order_id)), state: 'shipped' });
      ctx.raise('OrderShipped', { category: 'order', id: data.order_id, data: { order_id: data.order_id } });
    },
  },
});

const Shipping = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced: ({ data }, ctx) => {
      if (data.order_id === 'o-2' && ctx.attempt === 1) throw new Error('the printer jams');
      if (data.order_id === 'o-3') throw new Error('no such address');
      ctx.process('ShipOrder', { order_id: data.order_id }, { category: 'order', id: data.order_id });
    },
  },
});

const Sales = projector({
  categories: ['order'],
  handles: {
    OrderPlaced: async ({ data }, ctx) => {
      const sales = ctx.store('sales');
      const before = (await sales.get('all')) ?? { items: 0, shipped: 0 };
      await sales.put('all', { ...before, items: before.items + data.items });
    },
    OrderShipped: async (_event, ctx) => {
      const sales = ctx.store('sales');
      const before = (await sales.get('all')) ?? { items: 0, shipped: 0 };
      await sales.put('all', { ...before, shipped: before.shipped + 1 });
    },
  },
});

/** What can be seen of the domain when it has come to rest. */
async function outcome(settings: object): Promise<object> {
  const domain: TestDomain = await testDomain({
    name: 'bookshelf',
    handlers: { Orders, Shipping, Sales },
    settings: settings as Record<string, unknown>,
  });
  for (const n of [1, 2, 3]) {
    domain.process('PlaceOrder', { order_id: `o-${n}`, items: n }, { category: 'order', id: `o-${n}` });
  }
  await domain.settle();
  const seen = {
    orders: domain.documents('orders'),
    sales: domain.documents('sales'),
    messages: domain.messages.map(({ kind, name, id }) => `${kind} ${name} ${id}`).sort(),
    retries: domain.retries('Shipping'),
    handled: ['Orders', 'Shipping', 'Sales'].map((name) => domain.handled(name)),
    deadLetters: domain.deadLetters.map(({ handler, attempt, error }) => `${handler} ${attempt} ${error.message}`),
  };
  await domain.stop();
  return seen;
}

describe('a domain whose subscriptions are switched by config alone', () => {
  it('does the same from streams and from the event store', async () => {
    const retries = { max_retries: 3 };
    const fromStreams = await outcome({
      enable_outbox: true,
      server: { default_subscription_type: 'stream', stream_subscription: retries },
    });
    const fromEventStore = await outcome({
      enable_outbox: false,
      server: { default_subscription_type: 'event_store', event_store_subscription: retries },
    });
    assert.deepEqual(fromEventStore, fromStreams);
    assert.deepEqual(fromStreams, {
      orders: {
        'o-1': { items: 1, state: 'shipped' },
        'o-2': { items: 2, state: 'shipped' },
        'o-3': { items: 3, state: 'placed' },
      },
      sales: { all: { items: 6, shipped: 2 } },
      messages: [
        'COMMAND PlaceOrder o-1',
        'COMMAND PlaceOrder o-2',
        'COMMAND PlaceOrder o-3',
        'COMMAND ShipOrder o-1',
        'COMMAND ShipOrder o-2',
        'EVENT OrderPlaced o-1',
        'EVENT OrderPlaced o-2',
        'EVENT OrderPlaced o-3',
        'EVENT OrderShipped o-1',
        'EVENT OrderShipped o-2',
      ],
      retries: 3,
      handled: [5, 2, 5],
      deadLetters: ['Shipping 3 no such address'],
    });
  });
});
