import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConcurrencyError, commandHandler, eventHandler, NonRetryableError, projector } from 'domaind';
import { testDomain } from 'domaind/testing';

const sync = { command_processing: 'sync', event_processing: 'sync' };

const Orders = commandHandler({
  category: 'order',
  handles: {
    PlaceOrder: async (command, ctx) => {
      const { order_id, customer } = command.data;
      await ctx.store('orders').put(order_id, { customer });
      ctx.raise('OrderPlaced', { category: 'order', id: order_id, data: { order_id, customer } });
      return { total: 12 };
    },
    Fail: async (_command, ctx) => {
      await ctx.store('orders').put('failed', {});
      throw new NonRetryableError('out of stock');
    },
    PlaceTwice: async (command, ctx) => {
      const first = await ctx.process('PlaceOrder', { ...command.data, order_id: 'a' }, { category: 'order' });
      void ctx.process('PlaceOrder', { ...command.data, order_id: 'b' }, { category: 'order' });
      return first;
    },
    Swallow: async (_command, ctx) => {
      await ctx.store('orders').put('swallowed', {});
      await Promise.resolve(ctx.process('Fail', {}, { category: 'order' })).catch(() => undefined);
    },
  },
});

const Summary = projector({
  categories: ['order'],
  handles: {
    OrderPlaced: async (event, ctx) => {
      const counts = ctx.store('counts');
      await counts.put(event.data.customer, { n: ((await counts.get(event.data.customer))?.n ?? 0) + 1 });
    },
  },
});

const Welcome = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced: (event, ctx) =>
      ctx.raise('CustomerWelcomed', { category: 'customer', id: event.data.customer, data: {} }),
  },
});

const order = { order_id: 'o-1', customer: 'Ada' };
const toOrder = { category: 'order' };

describe('a command that is processed synchronously', () => {
  it('answers what its handler returns, once it and what follows from it is done, without a relay or a stream', async () => {
    const domain = await testDomain({ handlers: { Orders, Summary, Welcome }, settings: sync });
    assert.deepEqual(await domain.process('PlaceOrder', order, toOrder), { total: 12 });
    assert.deepEqual(domain.documents('counts'), { Ada: { n: 1 } });
    assert.deepEqual(
      domain.messages.map(({ name }) => name),
      ['PlaceOrder', 'OrderPlaced', 'CustomerWelcomed'],
    );
    await domain.settle();
    assert.equal(domain.handled('Summary'), 0, 'nothing came by the stream');
    await domain.stop();
  });

  it('throws what its handler throws, and leaves nothing behind', async () => {
    const domain = await testDomain({ handlers: { Orders, Summary }, settings: sync });
    await assert.rejects(Promise.resolve(domain.process('Fail', {}, toOrder)), /out of stock/);
    assert.deepEqual(domain.documents('orders'), {});
    await domain.stop();
  });

  it('takes the failure of an event’s handler as its own: one transaction', async () => {
    const Broken = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: () => {
          throw new NonRetryableError('no mail');
        },
      },
    });
    const domain = await testDomain({ handlers: { Orders, Summary, Broken }, settings: sync });
    await assert.rejects(Promise.resolve(domain.process('PlaceOrder', order, toOrder)), /no mail/);
    assert.deepEqual([domain.documents('orders'), domain.documents('counts')], [{}, {}]);
    await domain.stop();
  });

  it('may be sent by a handler, which gets the value, and is waited for though nobody awaits it', async () => {
    const domain = await testDomain({ handlers: { Orders, Summary }, settings: sync });
    assert.deepEqual(await domain.process('PlaceTwice', order, toOrder), { total: 12 });
    assert.deepEqual(Object.keys(domain.documents('orders')), ['a', 'b']);
    assert.deepEqual(domain.documents('counts'), { Ada: { n: 2 } });
    await domain.stop();
  });

  it('fails whoever sent it, also where that catches the failure', async () => {
    const domain = await testDomain({ handlers: { Orders }, settings: sync });
    await assert.rejects(Promise.resolve(domain.process('Swallow', {}, toOrder)), /out of stock/);
    assert.deepEqual(domain.documents('orders'), {});
    await domain.stop();
  });

  it('has its effect once for one idempotency key', async () => {
    const domain = await testDomain({ handlers: { Orders, Summary }, settings: sync });
    const options = { ...toOrder, idempotencyKey: 'form-7' };
    await domain.process('PlaceOrder', order, options);
    await domain.process('PlaceOrder', order, options);
    assert.deepEqual(domain.documents('counts'), { Ada: { n: 1 } });
    await domain.stop();
  });

  it('is tried again at once after a conflict', async () => {
    let tries = 0;
    const Fussy = commandHandler({
      category: 'fuss',
      handles: {
        Fuss: async (_command, ctx) => {
          await ctx.store('tries').put(String(tries), {});
          tries += 1;
          if (tries < 3) throw new ConcurrencyError('changed meanwhile');
          return tries;
        },
      },
    });
    const domain = await testDomain({ handlers: { Fussy }, settings: sync });
    const answer = domain.process('Fuss', {}, { category: 'fuss' });
    await domain.advance(10_000);
    assert.equal(await answer, 3);
    assert.deepEqual(Object.keys(domain.documents('tries')), ['2']);
    await domain.stop();
  });

  it('goes the way of the outbox where it is to wait, and where nobody here handles it', async () => {
    const domain = await testDomain({ handlers: { Orders, Summary }, settings: sync });
    const later = { ...toOrder, deliverAt: '2026-01-01T00:01:00Z' };
    assert.equal(await domain.process('PlaceOrder', order, later), undefined);
    assert.deepEqual(domain.documents('orders'), {});
    await domain.process('PlaceBet', {}, { category: 'bet' });
    await domain.settle();
    assert.deepEqual(domain.documents('counts'), { Ada: { n: 1 } });
    assert.equal(domain.handled('Orders'), 1);
    await domain.stop();
  });
});

describe('events that are processed synchronously', () => {
  it('are handled with the command that came by the stream, in its transaction', async () => {
    const domain = await testDomain({ handlers: { Orders, Summary }, settings: { event_processing: 'sync' } });
    await domain.process('PlaceOrder', order, toOrder);
    assert.deepEqual(domain.documents('counts'), {});
    await domain.settle();
    assert.deepEqual(domain.documents('counts'), { Ada: { n: 1 } });
    assert.deepEqual([domain.handled('Orders'), domain.handled('Summary')], [1, 0]);
    await domain.stop();
  });

  it('are handled where the application raises them', async () => {
    const domain = await testDomain({ handlers: { Summary }, settings: sync });
    await domain.raise('OrderPlaced', { category: 'order', id: 'o-1', data: order });
    assert.deepEqual(domain.documents('counts'), { Ada: { n: 1 } });
    await domain.stop();
  });

  it('need handlers on one database', async () => {
    const Elsewhere = eventHandler({ category: 'order', database: 'other', handles: { $any: () => undefined } });
    const databases = { default: { provider: 'memory' }, other: { provider: 'memory' } };
    await assert.rejects(
      testDomain({ handlers: { Orders, Elsewhere }, settings: { ...sync, databases } }),
      /is on database other and Orders on default: .* they need one database/,
    );
  });
});
