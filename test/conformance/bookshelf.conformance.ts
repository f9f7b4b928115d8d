import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogFacts } from '../../src/handler/context.ts';
import { createDeadlines } from '../../src/handler/deadlines.ts';
import type { HandlerLog } from '../../src/handler/handler.ts';
import type { Incoming } from '../../src/handler/incoming.ts';
import type { Outcome } from '../../src/handler/invoke.ts';
import { invoke } from '../../src/handler/invoke.ts';
import { loadHandlers } from '../../src/handler/load-handlers.ts';
import type { LoadedHandler } from '../../src/handler/loaded-handler.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { aMessage, anExternal } from '../support/messages.ts';
import type { UnitsOfWorkUnderTest } from './units-of-work.conformance.ts';

const folder = fileURLToPath(new URL('../../examples/bookshelf/handlers', import.meta.url));
const order = { order_id: 'ord-1', customer: 'Ada', items: ['Dune', 'Emma'] };

/** The example's handlers, the same files on every database. */
export function bookshelfConformance(name: string, create: () => Promise<UnitsOfWorkUnderTest>): void {
  describe(`the bookshelf on ${name}`, () => {
    let database: UnitsOfWorkUnderTest;
    let handlers: ReadonlyMap<string, LoadedHandler>;
    const lines: string[] = [];
    const deadlines = createDeadlines(10_000, { clock: systemClock, hard: new AbortController().signal });

    before(async () => {
      database = await create();
      const { handlers: loaded } = await loadHandlers(
        {
          handlers: { paths: [folder], importTimeoutMs: 10_000 },
          domain: { name: 'bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' },
          databases: new Map([['default', { provider: 'memory', name: 'default' }]]),
          brokers: new Map([['default', { provider: 'inline', name: 'default' }]]),
        },
        { clock: systemClock },
      );
      handlers = new Map(loaded.map((handler) => [handler.name, handler]));
    });
    after(async () => {
      deadlines.close();
      await database.close();
    });

    const log = ({ handler }: LogFacts): HandlerLog => {
      const line = (text: string, facts?: object) => void lines.push(`${handler}: ${text} ${JSON.stringify(facts)}`);
      return { debug: line, info: line, warn: line, error: line };
    };

    async function hand(incoming: Incoming, to: string): Promise<Outcome> {
      const handler = handlers.get(to) ?? assert.fail(`there is no ${to}`);
      const call = { entryId: '1-0', attempt: 1, signal: () => new AbortController().signal };
      const { unitsOfWork } = database;
      return invoke(handler, incoming, call, { domain: 'bookshelf', config: {}, unitsOfWork, log, deadlines });
    }

    async function done(incoming: Incoming, to: string, effect = 'ok'): Promise<void> {
      const outcome = await hand(incoming, to);
      assert.equal(outcome.kind === 'done' ? outcome.effect : String(outcome.error), effect);
    }

    async function document(collection: string, id: string): Promise<unknown> {
      const work = database.unitsOfWork.begin({ handler: 'Reader', messageId: 'r', kind: 'EVENT', entryId: 'r' });
      const value = await work.store(collection).get(id);
      await work.rollback();
      return value;
    }

    const command = (type: string, data: object, id: string) =>
      aMessage({ kind: 'COMMAND', name: type, data: { ...data }, id });
    const event = (type: string, data: object, id: string) => aMessage({ name: type, data: { ...data }, id });
    const placed = async () => (await database.outbox()).filter((row) => row.name === 'OrderPlaced');

    it('is these handlers', () => {
      assert.deepEqual([...handlers.keys()].sort(), [
        'BookCatalogue',
        'BookCommandHandler',
        'ExternalOrderSubscriber',
        'OrderCommandHandler',
        'OrderNotifications',
        'OrderSummary',
      ]);
    });

    it('keeps an order and says that it was placed', async () => {
      await done(command('PlaceOrder', order, 'c-1'), 'OrderCommandHandler');
      assert.deepEqual(await document('orders', 'ord-1'), {
        customer: 'Ada',
        items: ['Dune', 'Emma'],
        status: 'placed',
      });
      assert.deepEqual(await placed(), [{ name: 'OrderPlaced', data: order }]);
    });

    it('places an order once, however often it is asked to', async () => {
      await done(command('PlaceOrder', order, 'c-2'), 'OrderCommandHandler');
      const before = await placed();
      await done(command('PlaceOrder', order, 'c-2'), 'OrderCommandHandler', 'duplicate');
      assert.deepEqual(await placed(), before);
    });

    it('names an order after its command where it has no id of its own', async () => {
      const { customer, items } = order;
      await done(command('PlaceOrder', { customer, items }, 'c-3'), 'OrderCommandHandler');
      assert.notEqual(await document('orders', 'c-3'), null);
    });

    it('refuses an order without items for good', async () => {
      const outcome = await hand(command('PlaceOrder', { ...order, items: [] }, 'c-4'), 'OrderCommandHandler');
      assert.equal(outcome.kind === 'failed' && outcome.error.name, 'NonRetryableError');
    });

    it('counts each order once for its customer, also where many come at once and some twice', async () => {
      const events = Array.from({ length: 10 }, (_, n) => event('OrderPlaced', order, `e-${n}`));
      const outcomes = await Promise.all([...events, ...events].map((each) => hand(each, 'OrderSummary')));
      const effects = outcomes.map((outcome) => (outcome.kind === 'done' ? outcome.effect : String(outcome.error)));
      assert.deepEqual(
        ['ok', 'duplicate'].map((effect) => effects.filter((each) => each === effect).length),
        [10, 10],
      );
      assert.deepEqual(await document('order_summaries', 'Ada'), { orders: 10, books: 20 });
    });

    it('tells the customer', async () => {
      await done(event('OrderPlaced', order, 'e-told'), 'OrderNotifications');
      assert.deepEqual(lines.slice(-1), ['OrderNotifications: the customer is told {"order_id":"ord-1","items":2}']);
    });

    it('makes a command of an order from another system', async () => {
      const { customer, items } = order;
      await done(anExternal({ customer, items, their_number: 7 }), 'ExternalOrderSubscriber');
      const sent = (await database.outbox()).filter((row) => row.name === 'PlaceOrder');
      assert.deepEqual(sent, [{ name: 'PlaceOrder', data: { customer, items } }]);
    });

    it('refuses what is no order of another system for good', async () => {
      for (const payload of [null, 'text', ['Ada'], { customer: 7 }]) {
        const outcome = await hand(anExternal(payload), 'ExternalOrderSubscriber');
        assert.equal(outcome.kind === 'failed' && outcome.error.name, 'NonRetryableError');
      }
    });

    it('has a book in its catalogue once it was added', async () => {
      const book = { book_id: 'b-1', title: 'Dune', author: 'Frank Herbert', price: 12.5 };
      await done(command('AddBook', book, 'c-5'), 'BookCommandHandler');
      assert.deepEqual(await document('books', 'b-1'), { title: 'Dune', author: 'Frank Herbert', price: 12.5 });
      const [added] = (await database.outbox()).filter((row) => row.name === 'BookAdded');
      assert.deepEqual(added?.data, book);
      await done(event('BookAdded', book, 'e-added'), 'BookCatalogue');
      assert.deepEqual(await document('catalogue', 'b-1'), { label: 'Dune, by Frank Herbert', price: 12.5 });
    });
  });
}
