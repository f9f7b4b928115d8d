import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandHandler, eventHandler, NonRetryableError } from 'domaind';
import { testDomain } from 'domaind/testing';
import * as externalOrders from '../../examples/bookshelf/handlers/external-orders.js';
import * as orders from '../../examples/bookshelf/handlers/order.js';
import * as notifications from '../../examples/bookshelf/handlers/order-notifications.js';
import * as summary from '../../examples/bookshelf/handlers/order-summary.js';

const bookshelf = { ...orders, ...summary, ...notifications, ...externalOrders };

describe('the bookshelf in memory, on a manual clock', () => {
  it('takes an order from its command to the read model', async () => {
    const domain = await testDomain({ name: 'bookshelf', handlers: bookshelf });
    domain.process('PlaceOrder', { order_id: 'o-1', customer: 'Ada', items: ['Dune'] }, { category: 'order' });
    await domain.settle();
    assert.deepEqual(
      domain.messages.map(({ kind, name }) => [kind, name]),
      [
        ['COMMAND', 'PlaceOrder'],
        ['EVENT', 'OrderPlaced'],
      ],
    );
    assert.deepEqual(domain.documents('order_summaries'), { Ada: { orders: 1, books: 1 } });
    assert.equal(domain.handled('OrderNotifications'), 1);
    await domain.stop();
  });

  it('makes an order of an external one', async () => {
    const domain = await testDomain({ name: 'bookshelf', handlers: bookshelf });
    await domain.publish('external-orders', { customer: 'Eve', items: ['Emma', 'Persuasion'] });
    await domain.settle();
    assert.deepEqual(domain.documents('order_summaries'), { Eve: { orders: 1, books: 2 } });
    await domain.stop();
  });

  it('appends events of event-sourced aggregates, and decides anew on what others have appended', async () => {
    const counted = { Counted: (state: { readonly n: number }) => ({ n: state.n + 1 }) };
    const Counters = commandHandler({
      category: 'counter',
      handles: {
        Count: async ({ data }, ctx) => {
          const at = { category: 'counter', id: data.id };
          const { state, version } = await ctx.load(at, counted, { n: 0 });
          ctx.append(at, [{ type: 'Counted', data: { n: state.n + 1 } }], { expectedVersion: version });
        },
      },
    });
    const Listeners = eventHandler({ category: 'counter', handles: { Counted: () => undefined } });
    const domain = await testDomain({
      name: 'bookshelf',
      handlers: { Counters, Listeners },
      settings: { server: { version_retry: { max_retries: 50 } } },
    });
    for (let n = 0; n < 25; n += 1) await domain.process('Count', { id: 'c-1' }, { category: 'counter' });
    await domain.settle();
    const events = await domain.appended('counter', 'c-1');
    assert.deepEqual(
      events.map(({ data }) => data),
      Array.from({ length: 25 }, (_, index) => ({ n: index + 1 })),
    );
    assert.equal(domain.handled('Listeners'), 25, 'they are relayed too');
    assert.deepEqual(domain.deadLetters, []);
    await domain.stop();
  });

  it('takes a thousand orders, each once', async () => {
    const domain = await testDomain({ name: 'bookshelf', handlers: bookshelf });
    for (let n = 0; n < 1_000; n += 1) {
      domain.process(
        'PlaceOrder',
        { order_id: `o-${n}`, customer: `c-${n % 10}`, items: ['x'] },
        { category: 'order' },
      );
    }
    await domain.settle();
    assert.equal(domain.handled('OrderSummary'), 1_000);
    for (const each of Object.values(domain.documents('order_summaries'))) assert.equal(each['orders'], 100);
    await domain.stop();
  });
});

describe('a domain in a test', () => {
  it('shows retries, in their time, and the dead letter at their end', async () => {
    const tries: number[] = [];
    const Mail = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: () => {
          tries.push(domain.clock.now());
          throw new Error('no mail today');
        },
      },
    });
    const domain = await testDomain({
      handlers: { Mail },
      settings: { server: { stream_subscription: { max_retries: 3, retry_delay_seconds: 60, jitter_factor: 0 } } },
    });
    domain.raise('OrderPlaced', { category: 'order', id: 'o-1', data: {} });
    await domain.settle();
    const [first = 0, second = 0, third = 0] = tries;
    assert.deepEqual([second - first, third - second], [60_000, 120_000]);
    assert.deepEqual(
      domain.deadLetters.map(({ handler, attempt, error }) => [handler, attempt, error.message]),
      [['Mail', 3, 'no mail today']],
    );
    assert.equal(domain.retries('Mail'), 2);
    await domain.stop();
  });

  it('undoes what a handler did before it failed', async () => {
    const Stock = commandHandler({
      category: 'stock',
      handles: {
        Take: async (_command, ctx) => {
          await ctx.store('stock').put('dune', { left: 0 });
          ctx.raise('Taken', { category: 'stock', id: 'dune', data: {} });
          throw new NonRetryableError('there is none');
        },
      },
    });
    const domain = await testDomain({ handlers: { Stock } });
    domain.process('Take', {}, { category: 'stock' });
    await domain.settle();
    assert.deepEqual(domain.documents('stock'), {});
    assert.equal(domain.messages.length, 1);
    assert.equal(domain.deadLetters.length, 1);
    await domain.stop();
  });

  it('refuses what is no handler, and settings that are none', async () => {
    await assert.rejects(testDomain({ handlers: { a: 1 } }), /none of the given exports is a handler/);
    await assert.rejects(testDomain({ handlers: bookshelf, settings: { sever: {} } }), /sever: unknown key|sever/);
  });
});
