import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandHandler, eventHandler, NonRetryableError, upcaster } from 'domaind';
import type { JsonObject, Message, TraceParent } from '../../src/message/message.ts';
import type { TestDomain, TestDomainOptions } from '../../src/testing.ts';
import { testDomain } from '../../src/testing.ts';
import { withFolder } from '../support/config-folder.ts';

const schemas = {
  'OrderPlaced.v2.json': JSON.stringify({
    type: 'object',
    properties: {
      order_id: { type: 'string' },
      lines: { type: 'array', items: { type: 'object', properties: { price: { type: 'number' } } } },
    },
    required: ['order_id'],
  }),
  'PlaceOrder.json': JSON.stringify({
    type: 'object',
    properties: { order_id: { type: 'string' } },
    required: ['order_id'],
  }),
};

/** Runs `use` with a domain that has these handlers and the schemas above. */
const inDomain = (
  handlers: TestDomainOptions['handlers'],
  use: (domain: TestDomain) => Promise<void>,
  settings: TestDomainOptions['settings'] = {},
) =>
  withFolder(schemas, async (path) => {
    const domain = await testDomain({ handlers, settings: { ...settings, schemas: { path } } });
    try {
      await use(domain);
    } finally {
      await domain.stop();
    }
  });

interface Wire {
  readonly kind?: 'EVENT' | 'COMMAND';
  readonly name?: string;
  readonly version?: number;
  readonly data: JsonObject;
  readonly deadline?: string;
  readonly traceparent?: TraceParent;
}

/** An entry as another service writes it. */
async function arrive(
  domain: TestDomain,
  { kind = 'EVENT', name = 'OrderPlaced', version = 2, data, deadline, traceparent }: Wire,
) {
  const category = kind === 'EVENT' ? 'test::order' : 'test::order:command';
  const headers = {
    id: `${name}-1`,
    type: `Test.${name}.v${version}`,
    stream: `${category}-1`,
    deadline: deadline ?? null,
  };
  const metadata = {
    headers: { ...headers, traceparent: traceparent === undefined ? null : { ...traceparent } },
    envelope: { specversion: '1.0', checksum: null },
    domain: { kind, correlation_id: 'request-1' },
  };
  await domain.publish(category, { data, metadata });
  await domain.settle();
}

function recorder() {
  const seen: Message<JsonObject>[] = [];
  const handle = (message: Message<JsonObject>) => void seen.push(message);
  return { seen, handler: eventHandler({ category: 'order', handles: { OrderPlaced: handle } }) };
}

describe('an entry that is not what its schema says', () => {
  it('becomes a dead letter once, at once, with the path of the fault and nothing of the payload', async () => {
    const { seen, handler } = recorder();
    const Other = eventHandler({ category: 'order', handles: { OrderShipped: () => undefined } });
    await inDomain({ Orders: handler, Other }, async (domain) => {
      await arrive(domain, { data: { order_id: 'a', lines: [{ price: 1 }, { price: 'secret' }] } });
      assert.deepEqual(seen, []);
      assert.equal(domain.retries('Orders'), 0);
      const [letter, ...more] = domain.deadLetters;
      assert.deepEqual(more, []);
      assert.deepEqual([letter?.handler, letter?.messageType, letter?.attempt], ['Orders', 'Test.OrderPlaced.v2', 1]);
      assert.equal(letter?.error.message, 'OrderPlaced (version 2): lines[1].price must be number');
      assert.equal(domain.handled('Other', 'skipped'), 1, 'who has no function for it does not refuse it');
    });
  });

  it('is brought up to the newest version first', async () => {
    const { seen, handler } = recorder();
    const First = upcaster({ type: 'OrderPlaced', from: 1, to: 2, up: ({ id }) => ({ order_id: id }) });
    await inDomain({ Orders: handler, First }, async (domain) => {
      await arrive(domain, { version: 1, data: { id: 'a' } });
      assert.deepEqual(
        seen.map(({ data, version, type }) => ({ data, version, type })),
        [{ data: { order_id: 'a' }, version: 2, type: 'Test.OrderPlaced.v2' }],
      );
    });
  });

  it('has its unknown fields taken out where that is the policy', async () => {
    const { seen, handler } = recorder();
    await withFolder(schemas, async (path) => {
      const settings = { schemas: { path, unknown_fields: 'strip' } };
      const domain = await testDomain({ handlers: { handler }, settings });
      await arrive(domain, { data: { order_id: 'a', custmer: 1, lines: [{ price: 1, prize: 2 }] } });
      assert.deepEqual(
        seen.map(({ data }) => data),
        [{ order_id: 'a', lines: [{ price: 1 }] }],
      );
      await domain.stop();
    });
  });
});

describe('a message that is not what its schema says', () => {
  it('is refused by process, where it is sent', async () => {
    await inDomain({ Orders: recorder().handler }, async (domain) => {
      const wrong = async () => domain.process('PlaceOrder', { order_id: 7 }, { category: 'order' });
      await assert.rejects(wrong, {
        name: 'InvalidMessageError',
        message: 'PlaceOrder (version 1): order_id must be string',
      });
    });
  });

  it('is refused by ctx.raise and ctx.process, in the handler that made it', async () => {
    const faults: string[] = [];
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: (_, ctx) => {
          for (const wrong of [
            () => ctx.raise('OrderPlaced', { category: 'order', id: 'a', data: {} }),
            () => ctx.process('PlaceOrder', {}, { category: 'order' }),
          ]) {
            try {
              wrong();
            } catch (error) {
              faults.push(error instanceof Error ? error.message : '');
            }
          }
          ctx.raise('OrderPlaced', { category: 'order', id: 'a', data: { order_id: 'a' } });
        },
      },
    });
    const { seen, handler } = recorder();
    await inDomain({ Orders, handler }, async (domain) => {
      await domain.process('PlaceOrder', { order_id: 'a' }, { category: 'order' });
      await domain.settle();
      assert.deepEqual(faults, [
        'OrderPlaced (version 2): order_id is missing',
        'PlaceOrder (version 1): order_id is missing',
      ]);
      assert.deepEqual(
        seen.map(({ version }) => version),
        [2],
        'of the newest version, since it names none',
      );
    });
  });
});

describe('a deadline', () => {
  /** Of the new year in which the clock of a test begins. */
  const at = (time: string) => `2026-01-01T00:0${time}Z`;

  it('that has passed keeps the handler from being called', async () => {
    let calls = 0;
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: () => {
          calls += 1;
        },
      },
    });
    await inDomain({ Orders }, async (domain) => {
      await domain.advance(60_000);
      await arrive(domain, {
        kind: 'COMMAND',
        name: 'PlaceOrder',
        version: 1,
        data: { order_id: 'a' },
        deadline: at('0:30'),
      });
      assert.equal(calls, 0);
      assert.deepEqual(
        domain.deadLetters.map(({ attempt, error }) => [attempt, error.message]),
        [[1, 'the deadline of the message, 2026-01-01T00:00:30.000Z, has passed']],
      );
      await arrive(domain, {
        kind: 'COMMAND',
        name: 'PlaceOrder',
        version: 1,
        data: { order_id: 'a' },
        deadline: at('9:00'),
      });
      assert.equal(calls, 1);
    });
  });

  it('cuts a handler short, and ends its retries', async () => {
    const reasons: unknown[] = [];
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: (_, { signal }) =>
          new Promise((resolve) =>
            signal.addEventListener('abort', () => {
              reasons.push(signal.reason);
              resolve(null);
            }),
          ),
      },
    });
    await inDomain({ Orders }, async (domain) => {
      await arrive(domain, {
        kind: 'COMMAND',
        name: 'PlaceOrder',
        version: 1,
        data: { order_id: 'a' },
        deadline: at('0:05'),
      });
      assert.deepEqual(
        reasons.map((each) => (each instanceof Error ? each.name : each)),
        ['DeadlinePassedError'],
      );
      assert.equal(domain.retries('Orders'), 0);
      assert.deepEqual(
        domain.deadLetters.map(({ error }) => error.name),
        ['DeadlinePassedError'],
      );
    });
  });

  it('may be configured to end without a dead letter', async () => {
    const Orders = commandHandler({ category: 'order', handles: { PlaceOrder: () => undefined } });
    const settings = {
      server: { default_subscription_type: 'stream', retry: { deadline_passed: { action: 'discard' } } },
    };
    await inDomain(
      { Orders },
      async (domain) => {
        await domain.advance(60_000);
        await arrive(domain, {
          kind: 'COMMAND',
          name: 'PlaceOrder',
          version: 1,
          data: { order_id: 'a' },
          deadline: at('0:30'),
        });
        assert.deepEqual(domain.deadLetters, []);
        assert.equal(domain.handled('Orders'), 0);
      },
      settings,
    );
  });
});

describe('a command with an idempotency key', () => {
  const place = (domain: TestDomain, key: string, id = 'a') =>
    domain.process('PlaceOrder', { order_id: id }, { category: 'order', idempotencyKey: key });

  it('is carried out once, also by a handler that never touches its database', async () => {
    let calls = 0;
    const PlaceOrder = () => {
      calls += 1;
    };
    const Orders = commandHandler({ category: 'order', handles: { PlaceOrder } });
    const use = async (domain: TestDomain) => {
      for (const key of ['one', 'one', 'two']) await place(domain, key);
      await domain.settle();
      assert.equal(calls, 2);
      assert.deepEqual([domain.handled('Orders'), domain.handled('Orders', 'duplicate')], [2, 1]);
      await domain.advance(60_001);
      await place(domain, 'one');
      await domain.settle();
      assert.equal(calls, 3, 'keys are kept for [idempotency] ttl');
    };
    await inDomain({ Orders }, use, { idempotency: { ttl: 60 } });
  });

  it('that failed is retried by itself, and not by those that are sent again meanwhile', async () => {
    const attempts: number[] = [];
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: (_, { attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error('not yet');
        },
      },
    });
    await inDomain({ Orders }, async (domain) => {
      await place(domain, 'one');
      await place(domain, 'one');
      await domain.settle();
      assert.deepEqual(attempts, [1, 2, 3]);
      assert.deepEqual([domain.handled('Orders'), domain.handled('Orders', 'duplicate')], [1, 1]);
      assert.deepEqual(domain.deadLetters, []);
    });
  });

  it('that was given up may be sent again after [idempotency] error_ttl', async () => {
    let calls = 0;
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: () => {
          calls += 1;
          if (calls === 1) throw new NonRetryableError('never');
        },
      },
    });
    await inDomain({ Orders }, async (domain) => {
      await place(domain, 'one');
      await domain.advance(1_000);
      assert.equal(domain.deadLetters.length, 1);
      await place(domain, 'one');
      await domain.advance(1_000);
      assert.deepEqual([calls, domain.handled('Orders', 'duplicate')], [1, 1]);
      await domain.advance(60_000);
      await place(domain, 'one');
      await domain.advance(1_000);
      assert.deepEqual([calls, domain.handled('Orders')], [2, 1]);
    });
  });
});

describe('a command with an idempotency key that is handled where it is sent', () => {
  it('is answered with the first answer', async () => {
    let calls = 0;
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: async ({ data }) => {
          calls += 1;
          await Promise.resolve();
          if (data.order_id === 'bad') throw new NonRetryableError('no such book');
          return { order_id: data.order_id, place: calls };
        },
      },
    });
    const use = async (domain: TestDomain) => {
      const place = (order_id: string, idempotencyKey: string) =>
        domain.process('PlaceOrder', { order_id }, { category: 'order', idempotencyKey });
      assert.deepEqual(await place('a', 'one'), { order_id: 'a', place: 1 });
      assert.deepEqual(await place('b', 'one'), { order_id: 'a', place: 1 });
      assert.deepEqual(await place('b', 'two'), { order_id: 'b', place: 2 });
      for (const _ of [1, 2]) {
        await assert.rejects(Promise.resolve(place('bad', 'three')), {
          name: 'NonRetryableError',
          message: 'no such book',
        });
      }
      assert.equal(calls, 3);
      const [first, second] = await Promise.allSettled([place('c', 'four'), place('c', 'four')]);
      assert.deepEqual(first, { status: 'fulfilled', value: { order_id: 'c', place: 4 } });
      assert.equal(second.status === 'rejected' && second.reason.code, 'in_progress');
    };
    await inDomain({ Orders }, use, { command_processing: 'sync' });
  });
});

describe('correlation, causation and trace', () => {
  it('are carried from a command through its event to the next command', async () => {
    const seen: Message<JsonObject>[] = [];
    const Orders = commandHandler({
      category: 'order',
      handles: {
        PlaceOrder: (command, ctx) => {
          seen.push(command);
          ctx.raise('OrderPlaced', { category: 'order', id: '1', data: { order_id: 'a' } });
        },
        ShipOrder: (command) => void seen.push(command),
      },
    });
    const Shipping = eventHandler({
      category: 'order',
      handles: {
        OrderPlaced: (event, ctx) => {
          seen.push(event);
          ctx.process('ShipOrder', {}, { category: 'order' });
        },
      },
    });
    const traceparent = { trace_id: 'a'.repeat(32), parent_id: 'b'.repeat(16), sampled: true };
    await inDomain({ Orders, Shipping }, async (domain) => {
      await arrive(domain, { kind: 'COMMAND', name: 'PlaceOrder', version: 1, data: { order_id: 'a' }, traceparent });
      assert.deepEqual(
        seen.map(({ name }) => name),
        ['PlaceOrder', 'OrderPlaced', 'ShipOrder'],
      );
      const [place, placed, ship] = seen.map(({ id, metadata }) => ({ id, ...metadata }));
      for (const each of [place, placed, ship]) {
        assert.equal(each?.domain.correlation_id, 'request-1');
        assert.deepEqual(each?.headers.traceparent, traceparent);
      }
      assert.deepEqual([placed?.domain.causation_id, ship?.domain.causation_id], [place?.id, placed?.id]);
    });
  });
});
