import { eventHandler } from '../../src/handler/define.ts';
import type { HandlerContext } from '../../src/handler/handler.ts';
import { partitionLease, subscriptionLease } from './lease-names.ts';
import type { Nature, Observer } from './observer.ts';
import type { Process } from './process.ts';

interface Payload {
  readonly n: number;
  readonly key: string;
  readonly nature: Nature;
}

/** The categories, each with the one handler that its events are for. */
export const handlerOf = { order: 'Billing', account: 'Ledger', audit: 'Auditor' } as const;
export type Category = keyof typeof handlerOf;
export const categories: readonly Category[] = ['order', 'account', 'audit'];

/** What the names of the collections begin with that the effects of a handler are kept in. */
export const effectsBy = 'effects_';

/** How long a handler takes that is slow: longer than `min_idle_ms` would be bearable without heartbeats. */
const slowMs = 2_200;

/**
 * The handlers of one incarnation, those of `inUse`: what they do is written into the ledger, and their effects into the
 * database.
 */
export function handlersOf(process: Process, observer: Observer, inUse: readonly Category[]) {
  const handle = (handler: string, leaseOf: (payload: Payload) => string | null) => ({
    Noted: async ({ data }: { readonly data: unknown }, ctx: HandlerContext) => {
      const payload = data as Payload;
      const { n, key, nature } = payload;
      observer.handling(process, leaseOf(payload), { handler, n, attempt: ctx.attempt });
      await process.pass('handler.begun');
      if (nature === 'killer') process.crash('handler of a killer');
      if (nature === 'late_killer' && ctx.attempt > 1) process.crash('handler of a late killer');
      if (nature === 'endless') await new Promise(() => undefined);
      if (nature === 'slow') await process.clock.sleep(slowMs, new AbortController().signal);
      if (nature === 'poison' || nature === 'late_killer' || (nature === 'flaky' && ctx.attempt < 3))
        throw new Error('no stock');
      const seen = ctx.store(`${effectsBy}${handler}`);
      const before = (await seen.get(key)) ?? { all: [] };
      await seen.put(key, { all: [...(before['all'] as readonly number[]), n] });
    },
  });
  const all = {
    Billing: eventHandler({ category: 'order', handles: handle('Billing', () => null) }),
    Ledger: eventHandler({
      category: 'account',
      sequentialBy: 'key',
      handles: handle('Ledger', ({ key }) => partitionLease(key)),
    }),
    Auditor: eventHandler({
      category: 'audit',
      handles: handle('Auditor', subscriptionLease),
      subscription: { subscription_type: 'event_store' },
    }),
  };
  return Object.fromEntries(inUse.map((category) => [handlerOf[category], all[handlerOf[category]]]));
}
