import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HandlerContext } from 'domaind';
import { commandHandler, eventHandler, projector, subscriber } from 'domaind';
import type { Broker, Consumer } from '../../src/broker/broker.ts';
import type { Config } from '../../src/config/config.ts';
import { givenHandlers } from '../../src/handler/given-handlers.ts';
import { raisedCommand, raisedEvent } from '../../src/handler/raised.ts';
import type { Providers } from '../../src/providers.ts';
import { openProviders } from '../../src/providers.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';
import { createHealthState } from '../../src/telemetry/health.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import { createWorker } from '../../src/worker.ts';
import { until } from '../support/until.ts';

const messages = 20;

/** Adds one to a count that nothing but the inbox keeps from being added to twice. */
async function effect(name: string, ctx: Pick<HandlerContext, 'store'>, by = 1): Promise<void> {
  const counts = ctx.store<{ readonly n: number }>('effects');
  await counts.put(name, { n: ((await counts.get(name))?.n ?? 0) + by });
}

const handlers = {
  Commands: commandHandler({
    category: 'order',
    handles: {
      PlaceOrder: async (command, ctx) => {
        await effect('command', ctx);
        ctx.raise('OrderCounted', { category: 'count', id: String(command.data.n), data: {} });
      },
    },
  }),
  Events: eventHandler({ category: 'order', handles: { OrderPlaced: (_, ctx) => effect('event', ctx) } }),
  Siblings: eventHandler({
    category: 'order',
    handles: {
      OrderPlaced: { one: (_, ctx) => effect('sibling one', ctx), other: (_, ctx) => effect('sibling other', ctx) },
    },
  }),
  Counted: projector({ categories: ['count'], handles: { $any: (_, ctx) => effect('raised', ctx) } }),
  Batches: projector({
    categories: ['order'],
    batch: { size: 8, handle: (events, ctx) => effect('batch', ctx, events.length) },
  }),
  External: subscriber({ stream: 'external-orders', handle: (_, ctx) => effect('external', ctx) }),
};

/** The same broker, where no acknowledgement ever arrives, as if the daemon died between each commit and it. */
function deaf(broker: Broker): Broker {
  return {
    ...broker,
    async consume(options) {
      const consumer = await broker.consume(options);
      const without: Partial<Consumer> = {
        read: (asked) => consumer.read({ ...asked, acks: [] }),
        settle: async () => [],
        leave: async () => undefined,
      };
      return Object.assign(Object.create(consumer) as Consumer, without);
    },
  };
}

/** On any database and broker: `open` gives a configuration whose consumers are taken over soon. */
export function redeliveryConformance(name: string, open: () => Promise<Config>): void {
  describe(`every message delivered twice, on ${name}`, () => {
    it('has one effect in handlers of each kind', async () => {
      const config = await open();
      const facts: TelemetryEvent[] = [];
      const emit = (fact: TelemetryEvent) => void facts.push(fact);
      const loopOptions = observedLoops(systemClock, systemRandom, emit);
      const providers = openProviders(config, { clock: systemClock, random: systemRandom, emit, loopOptions });
      const loaded = givenHandlers(handlers, config.domain);
      const handled = (outcome: string) =>
        facts.filter((fact) => fact.event === 'delivery.handled' && fact.outcome === outcome).length;

      async function during(id: string, given: Providers, work: () => Promise<unknown>): Promise<void> {
        const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
        const worker = createWorker(config, loaded, ['relay', 'subscriptions'], given, {
          id,
          clock: systemClock,
          random: systemRandom,
          emit,
          loopOptions,
          state: createHealthState(),
          handlerLog: () => silent,
        });
        const stop = new AbortController();
        const running = worker.run({ soft: stop.signal, hard: stop.signal });
        await work();
        stop.abort();
        await running;
      }

      const lineage = { domain: config.domain.normalized, correlationId: 'c', causationId: 'c', traceparent: null };
      async function send(): Promise<void> {
        for (let n = 0; n < messages; n += 1) {
          const event = { category: 'order', id: String(n % 4), data: { n } };
          await providers
            .database('default')
            .write([
              raisedCommand('PlaceOrder', { n }, { category: 'order', id: String(n) }, lineage),
              raisedEvent('OrderPlaced', event, lineage),
            ]);
          await providers
            .broker('default')
            .publish([{ stream: 'external-orders', body: JSON.stringify({ n }), key: null }]);
        }
      }

      const all = messages * Object.keys(handlers).length;
      const broker = deaf(providers.broker('default'));
      await during('deaf', { ...providers, broker: () => broker }, async () => {
        await send();
        await until('all handled once', async () => (handled('ok') === all ? true : null));
      });
      await during('second', providers, () =>
        until('all handled twice', async () => (handled('duplicate') === all ? true : null)),
      );
      assert.equal(handled('ok'), all, 'the second time, nothing was done');

      const work = providers.database('default').unitsOfWork.beginMany([]);
      const counts = await work.store('effects').list();
      await work.rollback();
      const kinds = ['batch', 'command', 'event', 'external', 'raised', 'sibling one', 'sibling other'];
      assert.deepEqual(
        counts.map(({ id, value }) => [id, value.n]),
        kinds.map((kind) => [kind, messages]),
      );
      await providers.close();
    });
  });
}
