import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BatchContext, Message } from 'domaind';
import { eventHandler, NonRetryableError, projector } from 'domaind';
import { testDomain } from 'domaind/testing';
import { createInBatches } from '../../src/subscription/in-batches.ts';

const soon = { server: { stream_subscription: { max_retries: 3, retry_delay_seconds: 1 } } };
const raised = (n: number) => ({ category: 'order', id: `o-${n % 5}`, data: { n } });

/** Adds up what it is given, in one document. */
async function addUp(events: readonly Message<{ readonly n: number }>[], ctx: BatchContext): Promise<void> {
  const sums = ctx.store<{ readonly count: number; readonly sum: number }>('sums');
  const { count, sum } = (await sums.get('all')) ?? { count: 0, sum: 0 };
  const more = events.reduce((total, { data }) => total + data.n, 0);
  await sums.put('all', { count: count + events.length, sum: sum + more });
}

describe('a projector that takes a batch', () => {
  it('takes many messages in one transaction, in their order, and each once', async () => {
    const sizes: number[] = [];
    const order: number[] = [];
    const Totals = projector({
      categories: ['order'],
      batch: {
        size: 50,
        handle: async (events, ctx) => {
          sizes.push(events.length);
          order.push(...events.map(({ data }) => data.n));
          await addUp(events, ctx);
        },
      },
    });
    const domain = await testDomain({ handlers: { Totals } });
    for (let n = 0; n < 120; n += 1) domain.raise('OrderPlaced', raised(n));
    await domain.settle();
    assert.deepEqual(domain.documents('sums'), { all: { count: 120, sum: 7_140 } });
    assert.equal(domain.handled('Totals'), 120);
    assert.ok(sizes.length <= 12 && Math.max(...sizes) <= 50, `batches of ${sizes}`);
    for (let id = 0; id < 5; id += 1) {
      const own = order.filter((n) => n % 5 === id);
      assert.deepEqual(
        own,
        [...own].sort((a, b) => a - b),
        'in order within an aggregate',
      );
    }
    await domain.stop();
  });

  it('undoes a batch that fails, and handles its messages one by one: a poison does not hold up the rest', async () => {
    const sizes: number[] = [];
    const Totals = projector({
      categories: ['order'],
      batch: {
        size: 20,
        handle: async (events, ctx) => {
          sizes.push(events.length);
          await addUp(events, ctx);
          if (events.some(({ data }) => data.n === 7)) throw new NonRetryableError('seven');
        },
      },
    });
    const domain = await testDomain({ handlers: { Totals }, settings: soon });
    for (let n = 0; n < 10; n += 1) domain.raise('OrderPlaced', raised(n));
    await domain.settle();
    assert.deepEqual(domain.documents('sums'), { all: { count: 9, sum: 38 } });
    assert.ok(Math.max(...sizes) > 1);
    assert.equal(domain.handled('Totals'), 9);
    assert.deepEqual(
      domain.deadLetters.map(({ attempt, error }) => [attempt, error.message]),
      [[1, 'seven']],
    );
    await domain.stop();
  });

  it('is called with the types that it wants, and acknowledges the others', async () => {
    const names: string[] = [];
    const Totals = projector({
      categories: ['order'],
      batch: {
        size: 20,
        types: ['OrderPlaced'],
        handle: (events) => void names.push(...events.map(({ name }) => name)),
      },
    });
    const domain = await testDomain({ handlers: { Totals } });
    domain.raise('OrderPlaced', raised(1));
    domain.raise('OrderShipped', raised(1));
    domain.raise('OrderPlaced', raised(2));
    await domain.settle();
    assert.deepEqual(names, ['OrderPlaced', 'OrderPlaced']);
    assert.equal(domain.handled('Totals', 'skipped'), 1);
    await domain.stop();
  });

  it('is cut short as a whole, and its messages are tried one by one', async () => {
    const sizes: number[] = [];
    const Totals = projector({
      categories: ['order'],
      batch: {
        size: 20,
        handle: (events, ctx) => {
          sizes.push(events.length);
          if (events.length === 1) return addUp(events, ctx);
          return new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
        },
      },
    });
    const domain = await testDomain({ handlers: { Totals }, settings: { server: { handler_timeout_seconds: 5 } } });
    for (let n = 0; n < 4; n += 1) domain.raise('OrderPlaced', raised(n));
    await domain.settle();
    assert.deepEqual(domain.documents('sums'), { all: { count: 4, sum: 6 } });
    assert.ok(Math.max(...sizes) > 1);
    await domain.stop();
  });

  it('says what is wrong with what it was made of', () => {
    const handle = () => undefined;
    const faultsOf = (input: object) => projector({ categories: ['order'], ...input } as never).faults;
    assert.deepEqual(faultsOf({ batch: { size: 1, handle } }), ['batch.size must be a whole number from 2 to 10000']);
    assert.deepEqual(faultsOf({ batch: { size: 2 } }), ['batch.handle must be a function']);
    assert.deepEqual(faultsOf({ batch: { size: 2, handle, types: [] } }), [
      'batch.types must be a list of message names',
    ]);
    assert.deepEqual(faultsOf({ batch: { size: 2, handle }, handles: { A: handle } }), [
      'has handles or batch, not both',
    ]);
    assert.deepEqual(faultsOf({ batch: { size: 2, handle, every: 1 } }), [
      'batch has an unknown option every; known are size, types, handle',
    ]);
  });

  it('is no way for other handlers', () => {
    const given = { category: 'order', handles: { A: () => undefined }, batch: {} } as never;
    assert.match(String(eventHandler(given).faults), /unknown option batch/);
  });
});

describe('tasks in batches', () => {
  it('are as many as are there, one batch after the other, and those that have not begun can be taken back', async () => {
    const batches: (readonly number[])[] = [];
    const ends: (() => void)[] = [];
    const tasks = createInBatches<number>(3, (batch) => {
      batches.push(batch);
      return new Promise((resolve) => ends.push(resolve));
    });
    for (let n = 0; n < 5; n += 1) tasks.add('key', n);
    await Promise.resolve();
    assert.deepEqual([batches, tasks.running, tasks.queued], [[[0, 1, 2]], 3, 2]);
    tasks.add('key', 5);
    ends[0]?.();
    for (let n = 0; n < 5; n += 1) await Promise.resolve();
    assert.deepEqual(batches[1], [3, 4, 5]);
    tasks.add('key', 6);
    assert.deepEqual(tasks.drop(), [6]);
    assert.equal(tasks.queued, 0);
  });
});
