import { NonRetryableError, subscriber } from 'domaind';

/** Orders from another system, in its own words: the bridge makes commands of ours of them. */
export const ExternalOrderSubscriber = subscriber({
  stream: 'external-orders',
  examples: { $any: { customer: 'Eve', items: ['Emma'] } },
  handle(payload, ctx) {
    if (typeof payload?.customer !== 'string') throw new NonRetryableError('an external order names its customer');

    const { customer, items } = payload;
    ctx.process('PlaceOrder', { customer, items }, { category: 'order' });
  },
});
