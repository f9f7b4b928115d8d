import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventHandler, projector } from '../../src/handler/define.ts';
import { ConfigError } from '../../src/runtime/errors.ts';
import { testDomain } from '../../src/testing.ts';

interface Seen {
  readonly handler: string;
  readonly customer: string;
  readonly n: number;
}

function shop() {
  const seen: Seen[] = [];
  const broken = new Set<number>();
  const note = (handler: string) => (event: { readonly data: { readonly customer: string; readonly n: number } }) => {
    const { customer, n } = event.data;
    seen.push({ handler, customer, n });
    if (handler === 'Billing' && broken.has(n)) throw new Error('no stock');
  };
  const Billing = eventHandler({
    category: 'order',
    sequentialBy: 'customer',
    handles: { OrderPlaced: note('Billing') },
    subscription: { retry_delay_seconds: 5, jitter_factor: 0, max_backoff_seconds: 600 },
  });
  const Summary = projector({ categories: ['order', 'cart'], handles: { $any: note('Summary') } });
  return {
    seen,
    broken,
    handlers: { Billing, Summary },
    of: (handler: string) => seen.filter((each) => each.handler === handler),
  };
}

const order = (id: string, customer: string | null, n: number) => ({
  category: 'order',
  id,
  data: { ...(customer === null ? {} : { customer }), n },
});

describe('a domain with a handler that keeps the order by a field', () => {
  it('handles all messages, by every handler of the category, and those with one value in their order', async () => {
    const { handlers, of } = shop();
    const domain = await testDomain({ handlers });
    for (let n = 0; n < 60; n += 1) domain.raise('OrderPlaced', order(`o${n}`, `c${n % 3}`, n));
    await domain.settle();
    for (const handler of ['Billing', 'Summary']) {
      assert.equal(of(handler).length, 60, handler);
    }
    for (const customer of ['c0', 'c1', 'c2']) {
      const order = of('Billing').flatMap((each) => (each.customer === customer ? [each.n] : []));
      assert.deepEqual(
        order,
        [...order].sort((one, other) => one - other),
      );
    }
    await domain.stop();
  });

  it('handles messages that have no such field, and those of categories without order, too', async () => {
    const { handlers, of } = shop();
    const domain = await testDomain({ handlers });
    domain.raise('OrderPlaced', order('o1', null, 1));
    domain.raise('CartFilled', { category: 'cart', id: 'k1', data: { n: 2 } });
    await domain.settle();
    assert.deepEqual(
      of('Billing').map(({ n }) => n),
      [1],
    );
    assert.deepEqual(
      of('Summary')
        .map(({ n }) => n)
        .sort(),
      [1, 2],
    );
    await domain.stop();
  });

  it('goes by the partition key that a message states itself', async () => {
    const { handlers, broken, of } = shop();
    broken.add(1);
    const domain = await testDomain({ handlers });
    domain.raise('OrderPlaced', { ...order('o1', 'ann', 1), partitionKey: 'berlin' });
    domain.raise('OrderPlaced', { ...order('o2', 'bob', 2), partitionKey: 'berlin' });
    domain.raise('OrderPlaced', order('o3', 'bob', 3));
    await domain.advance(3_000);
    assert.deepEqual(
      of('Billing').map(({ n }) => n),
      [1, 3],
      'the one behind it in Berlin waits',
    );
    await domain.stop();
  });

  it('halts a customer and no other, while the handlers beside it go on', async () => {
    const { handlers, broken, of } = shop();
    broken.add(1);
    const domain = await testDomain({ handlers });
    for (const [n, customer] of ['ann', 'ann', 'bob'].entries())
      domain.raise('OrderPlaced', order(`o${n + 1}`, customer, n + 1));
    await domain.advance(120_000);
    assert.deepEqual(
      of('Billing').map(({ n }) => n),
      [1, 3, 1, 1],
    );
    assert.equal(of('Summary').length, 3);
    assert.deepEqual(domain.deadLetters, []);
    broken.clear();
    await domain.settle();
    assert.deepEqual(
      of('Billing').map(({ n }) => n),
      [1, 3, 1, 1, 1, 2],
    );
    await domain.stop();
  });

  it('refuses two handlers of a category that want two orders, and an order where there can be none', async () => {
    const handles = { OrderPlaced: () => undefined };
    const One = eventHandler({ category: 'order', sequentialBy: 'customer', handles });
    const Two = eventHandler({ category: 'order', subscription: { sequential_by: 'shop' }, handles });
    const faults = await testDomain({ handlers: { One, Two } }).then(
      () => [],
      (error: unknown) => (error instanceof ConfigError ? error.faults : Promise.reject(error)),
    );
    assert.deepEqual(
      faults.map(({ where, message }) => `${where} ${message}`),
      ['handler Two sequential_by: test::order is in order by "customer" already (handler One), not by "shop"'],
    );
  });
});
