import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { commandHandler, eventHandler, NonRetryableError } from 'domaind';
import type { TestServers } from 'domaind/testing';
import { testDomain } from 'domaind/testing';
import * as externalOrders from '../../examples/bookshelf/handlers/external-orders.js';
import * as orders from '../../examples/bookshelf/handlers/order.js';
import * as summary from '../../examples/bookshelf/handlers/order-summary.js';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

let postgresql: PostgresqlServer;
let redis: RedisServer;
let databaseUri = '';
before(async () => {
  postgresql = await startPostgresql();
  redis = await startRedis();
  databaseUri = await postgresql.createDatabase();
});
after(async () => {
  await redis?.stop();
  await postgresql?.stop();
});

const grounds: readonly (readonly [string, () => TestServers | null])[] = [
  ['in memory', () => null],
  ['on real servers', () => ({ databaseUri, redisUrl: redis.url })],
];

for (const [name, servers] of grounds) {
  describe(`one test of handlers, ${name}`, () => {
    it('sees the same messages and documents', async () => {
      const handlers = { ...orders, ...summary, ...externalOrders };
      const domain = await testDomain({ name: 'bookshelf', handlers, servers: servers() });
      domain.process('PlaceOrder', { order_id: 'o-1', customer: 'Ada', items: ['Dune'] }, { category: 'order' });
      await domain.publish('external-orders', { customer: 'Eve', items: ['Emma', 'Ulysses'] });
      await domain.settle();
      domain.process('CancelOrder', { order_id: 'o-1' }, { category: 'order' });
      await domain.settle();
      assert.deepEqual(domain.documents('order_summaries'), {
        Ada: { orders: 0, books: 0 },
        Eve: { orders: 1, books: 2 },
      });
      assert.deepEqual(domain.messages.map((each) => `${each.category} ${each.name}`).sort(), [
        'bookshelf::order CancelOrder',
        'bookshelf::order OrderCancelled',
        'bookshelf::order OrderPlaced',
        'bookshelf::order OrderPlaced',
        'bookshelf::order PlaceOrder',
        'bookshelf::order PlaceOrder',
      ]);
      assert.equal(domain.handled('OrderSummary'), 3);
      await domain.stop();
    });

    it('sees the same retries and dead letters', async () => {
      let tries = 0;
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
      const Mail = eventHandler({
        category: 'order',
        handles: {
          OrderPlaced: () => {
            tries += 1;
            if (tries === 1) throw new Error('no mail yet');
          },
        },
        subscription: { retry_delay_seconds: 0.1 },
      });
      const domain = await testDomain({ handlers: { Stock, Mail }, servers: servers() });
      domain.process('Take', {}, { category: 'stock' });
      domain.raise('OrderPlaced', { category: 'order', id: 'o-1', data: {} });
      await domain.settle();
      assert.deepEqual([domain.retries('Mail'), domain.handled('Mail')], [1, 1]);
      assert.deepEqual(
        domain.deadLetters.map(({ handler, error }) => [handler, error.message]),
        [['Stock', 'there is none']],
      );
      assert.deepEqual([domain.documents('stock'), domain.messages.length], [{}, 2]);
      await domain.stop();
    });
  });
}

describe('the servers of a test', () => {
  it('are left as they were', async () => {
    assert.deepEqual(await redis.cli('KEYS', '*'), []);
    assert.equal(
      await postgresql.psql(databaseUri, `select count(*) from pg_namespace where nspname like 'bookshelf_t%'`),
      '0',
    );
  });
});
