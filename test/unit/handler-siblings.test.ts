import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HandlerContext } from 'domaind';
import { commandHandler, eventHandler, NonRetryableError } from 'domaind';
import { testDomain } from 'domaind/testing';

const raised = { category: 'order', id: 'o-1', data: {} };
const soon = { server: { stream_subscription: { max_retries: 4, retry_delay_seconds: 1 } } };

/** Counts in a document, which is done once for each message whose account the inbox keeps. */
const count = (name: string) => async (_message: unknown, ctx: HandlerContext) => {
  const counts = ctx.store<{ readonly n: number }>('counts');
  await counts.put(name, { n: ((await counts.get(name))?.n ?? 0) + 1 });
};

describe('several functions for one message', () => {
  it('each have their effects once, however often one of them fails', async () => {
    let mails = 0;
    let failures = 2;
    const Orders = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: {
          first: count('first'),
          mail: () => {
            mails += 1;
          },
          failing: async (message, ctx) => {
            await count('failing')(message, ctx);
            failures -= 1;
            if (failures >= 0) throw new Error('not yet');
          },
          last: count('last'),
        },
      },
    });
    const domain = await testDomain({ handlers: { Orders }, settings: soon });
    domain.raise('OrderPlaced', raised);
    await domain.settle();
    assert.deepEqual(domain.documents('counts'), { failing: { n: 1 }, first: { n: 1 }, last: { n: 1 } });
    assert.equal(mails, 1, 'also of the one that keeps nothing');
    assert.equal(domain.retries('Orders'), 2);
    assert.equal(domain.handled('Orders'), 1);
    await domain.stop();
  });

  it('are not run again by the quick retries of one of them', async () => {
    let mails = 0;
    let tries = 0;
    const Orders = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: {
          mail: () => {
            mails += 1;
          },
          conflict: () => {
            tries += 1;
            if (tries < 3) throw Object.assign(new Error('could not serialize'), { code: '40001' });
          },
        },
      },
    });
    const domain = await testDomain({ handlers: { Orders } });
    domain.raise('OrderPlaced', raised);
    await domain.settle();
    assert.deepEqual([mails, tries, domain.retries('Orders')], [1, 3, 0]);
    await domain.stop();
  });

  it('are tried again for the sake of one that may succeed, beside one that never will', async () => {
    let tries = 0;
    const Orders = eventHandler({
      category: 'order',
      handles: {
        $any: {
          hopeless: () => {
            throw new NonRetryableError('never');
          },
          later: () => {
            tries += 1;
            if (tries === 1) throw new Error('not yet');
          },
        },
      },
    });
    const domain = await testDomain({ handlers: { Orders }, settings: soon });
    domain.raise('OrderPlaced', raised);
    await domain.settle();
    assert.equal(tries, 2);
    assert.deepEqual(
      domain.deadLetters.map(({ error }) => error.message),
      ['never'],
    );
    await domain.stop();
  });

  it('have each a message of their own, whatever the others do to it', async () => {
    const seen: unknown[] = [];
    const spoil = (message: { data: { items: string[] } }) => {
      seen.push([...message.data.items]);
      message.data.items.push('spoilt');
    };
    const Orders = eventHandler({ category: 'order', handles: { OrderPlaced: { one: spoil, other: spoil } } });
    const domain = await testDomain({ handlers: { Orders } });
    domain.raise('OrderPlaced', { ...raised, data: { items: ['Dune'] } });
    await domain.settle();
    assert.deepEqual(seen, [['Dune'], ['Dune']]);
    await domain.stop();
  });

  it('are not for commands, which are carried out once', () => {
    const nothing = () => undefined;
    // @ts-expect-error What a command has is one function.
    const { faults } = commandHandler({ category: 'order', handles: { PlaceOrder: { one: nothing } } });
    assert.deepEqual(faults, ['handles.PlaceOrder must be one function: a command is carried out once']);
  });

  it('have names that stay, and are functions', () => {
    const handles = { A: {}, B: { 'no name': () => undefined }, C: { c: 7 } } as never;
    assert.deepEqual(eventHandler({ category: 'order', handles }).faults, [
      'handles.A must have at least one function',
      'handles.B: a function is named by 1–64 letters, digits, _ . and -',
      'handles.C.c must be a function, not number',
    ]);
  });
});

describe('the hook handleError', () => {
  it('is told of each attempt that failed, with the message, and nothing of those that did not', async () => {
    const told: unknown[] = [];
    let tries = 0;
    const Orders = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: () => {
          tries += 1;
          if (tries < 3) throw new Error(`no ${tries}`);
        },
      },
      handleError: (error, message, ctx) => void told.push([error.message, message.data, ctx.attempt, 'sql' in ctx]),
    });
    const domain = await testDomain({ handlers: { Orders }, settings: soon });
    domain.raise('OrderPlaced', { ...raised, data: { order_id: 'o-1' } });
    await domain.settle();
    assert.deepEqual(told, [
      ['no 1', { order_id: 'o-1' }, 1, false],
      ['no 2', { order_id: 'o-1' }, 2, false],
    ]);
    assert.equal(domain.handled('Orders'), 1);
    await domain.stop();
  });

  it('may put another error in its place, such as one that gives the message up', async () => {
    const Orders = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: () => {
          throw new Error('409 from the payment service');
        },
      },
      handle_error: (error) => {
        throw new NonRetryableError('paid already', { cause: error });
      },
    });
    const domain = await testDomain({ handlers: { Orders }, settings: soon });
    domain.raise('OrderPlaced', raised);
    await domain.settle();
    assert.deepEqual(
      domain.deadLetters.map(({ attempt, error }) => [attempt, error.message]),
      [[1, 'paid already']],
    );
    await domain.stop();
  });

  it('is cut short like a handler where it does not come back', async () => {
    const Orders = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: () => {
          throw new Error('no');
        },
      },
      handleError: () => new Promise(() => undefined),
    });
    const domain = await testDomain({ handlers: { Orders }, settings: { server: { handler_timeout_seconds: 5 } } });
    domain.raise('OrderPlaced', raised);
    await domain.settle();
    assert.deepEqual(
      domain.deadLetters.map(({ error }) => error.name),
      ['HandlerTimeoutError'],
    );
    await domain.stop();
  });
});
