/**
 * What the compiler must say about handlers, and what it must not: checked by `npm run check:types`, never run. Each
 * `@ts-expect-error` fails the check where the line below it compiles. Here the application has declared nothing.
 */
import type { HandlerContext, Message, Unchecked } from 'domaind';
import { commandHandler, eventHandler, NonRetryableError, projector, RetryAfterError, subscriber } from 'domaind';

/** Fails to compile unless A and B are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const yes = <_ extends true>(): void => undefined;

export const Orders = commandHandler({
  category: 'order',
  handles: {
    PlaceOrder: async (command, ctx) => {
      yes<Same<typeof command, Message<Unchecked>>>();
      yes<Same<typeof ctx, HandlerContext>>();
      yes<Same<typeof command.name, string>>();
      const id: string = command.data.order_id;
      const [row] = await ctx.sql<{ count: number }[]>`select count(*)::int as count from orders`;
      yes<Same<typeof row, { count: number } | undefined>>();
      await ctx.sql.savepoint((sql) => sql`insert into orders ${sql({ id: 'a' })}`);
      const order = await ctx.store<{ readonly total: number }>('orders').get(id);
      yes<Same<typeof order, { readonly total: number } | null>>();
      // @ts-expect-error A document has what was declared.
      await ctx.store<{ readonly total: number }>('orders').put(id, {});
      await ctx.store('orders').put(id, { anything: ['goes'] });
      ctx.raise('OrderPlaced', { category: 'order', id: command.data.order_id, data: { lines: [1, { sku: 'b' }] } });
      ctx.process('ShipOrder', { order_id: 'a' }, { category: 'order' });
    },
    CancelOrder: () => {
      throw new NonRetryableError('this order has been shipped');
    },
    $any: ({ name }) => {
      throw new RetryAfterError(`no ${name} before the stock is counted`, 60_000);
    },
  },
  subscription: { max_retries: 5 },
});

export const wrongOptions = eventHandler({
  category: 'order',
  // @ts-expect-error A handler is not named by a number.
  name: 7,
  handles: {},
});

// @ts-expect-error An event handler without categories reads nothing.
export const noCategory = eventHandler({ handles: {} });

// @ts-expect-error One category or several, not both.
export const bothCategories = eventHandler({ category: 'order', categories: ['order'], handles: {} });

// @ts-expect-error A projector has a list.
export const oneCategory = projector({ category: 'order', handles: {} });

// @ts-expect-error What handles a message is a function.
export const noFunction = commandHandler({ category: 'order', handles: { PlaceOrder: 42 } });

export const External = subscriber({
  stream: 'external-orders',
  handle: (payload: { readonly customer: string }, ctx) => {
    payload.customer.toUpperCase();
    // @ts-expect-error A command needs to know where it goes.
    ctx.process('PlaceOrder', { customer: payload.customer });
    // @ts-expect-error An event is of an aggregate.
    ctx.raise('OrderSeen', { category: 'order', data: {} });
    ctx.append({ category: 'order', id: 'o-1' }, [{ type: 'OrderSeen', data: {} }], { expectedVersion: -1 });
    // @ts-expect-error An event that is appended has a type.
    ctx.append({ category: 'order', id: 'o-1' }, [{ data: {} }]);
    // @ts-expect-error It is there at once.
    ctx.append({ category: 'order', id: 'o-1' }, [{ type: 'OrderSeen', data: {}, deliverAt: 'later' }]);
    // @ts-expect-error What is folded is what the initial state is.
    ctx.load({ category: 'order', id: 'o-1' }, { OrderSeen: (n: number) => `${n}` }, 0);
    // @ts-expect-error The context is not the handler's to change.
    ctx.attempt = 2;
    // @ts-expect-error Two-phase commit is not a handler's to begin.
    ctx.sql.commit();
  },
});
