import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { configFromTable } from '../../src/config/from-table.ts';
import type { Table } from '../../src/config/tree.ts';
import type { StoredMessage } from '../../src/event-store/event-store.ts';
import { factsIn } from '../../src/event-store/failures.ts';
import { eventHandler } from '../../src/handler/define.ts';
import type { HandlerDefinition } from '../../src/handler/handler.ts';
import { toLoadedHandler } from '../../src/handler/loaded-handler.ts';
import type { MemoryDatabase } from '../../src/handler/memory-unit-of-work.ts';
import type { Append } from '../../src/message/append.ts';
import { compose } from '../../src/message/compose.ts';
import { openProviders } from '../../src/providers.ts';
import { createHealthState } from '../../src/telemetry/health.ts';
import { isQuiet } from '../../src/telemetry/monitor.ts';
import { createWorker } from '../../src/worker.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';

const names = { normalized: 'bookshelf', camel: 'Bookshelf' };

function anEvent(
  id: string,
  n: number,
  more: { readonly asynchronous?: boolean; readonly origin?: string } = {},
): Append {
  const facts = { ...names, time: '2026-01-01T00:00:00.000000+00:00', uuid: randomUUID(), sequence: String(n) };
  const { stream, type, metadata } = compose(
    { kind: 'EVENT', name: 'Counted', category: 'bookshelf::order', id, dataText: '{}', options: {} },
    facts,
  );
  const { asynchronous = true, origin = null } = more;
  const domain = { ...metadata.domain, asynchronous, origin_stream: origin };
  const message = {
    id: randomUUID(),
    type,
    dataText: JSON.stringify({ n }),
    metadataText: JSON.stringify({ ...metadata, domain }),
    numbered: false,
  };
  return { stream, expectedVersion: null, messages: [message] };
}

interface SceneOptions {
  readonly handlers: { readonly [name: string]: HandlerDefinition };
  readonly server?: object;
  readonly databases?: object;
}

function scene({ handlers, server = {} }: SceneOptions) {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const events = createEvents();
  const table = {
    name: 'bookshelf',
    databases: { default: { provider: 'memory' } },
    brokers: { default: { provider: 'inline' } },
    server: { default_subscription_type: 'event_store', ...server },
  };
  const config = configFromTable(table as unknown as Table, '/domain.toml');
  const databases: MemoryDatabase[] = [];
  const loopOptions = loopOptionsOn(clock, events);
  const observer = { opened: (database: MemoryDatabase) => void databases.push(database), added: () => undefined };
  const providers = openProviders(config, { clock, random: () => 0.5, emit: events.emit, loopOptions, observer });
  const loaded = Object.entries(handlers).map(
    ([name, definition]) => toLoadedHandler({ file: 'test', name, definition }, config.domain).handler,
  );
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const start = (id: string) => {
    const worker = createWorker(config, loaded, ['subscriptions'], providers, {
      id,
      clock,
      random: () => 0.5,
      emit: events.emit,
      loopOptions,
      state: createHealthState(),
      handlerLog: () => silent,
    });
    const soft = new AbortController();
    const hard = new AbortController();
    const running = worker.run({ soft: soft.signal, hard: hard.signal });
    return {
      worker,
      async stop() {
        soft.abort();
        await clock.advance(10_000);
        await running;
      },
    };
  };
  return {
    clock,
    events,
    store: providers.eventStore.store,
    positions: providers.database('default').keeping.positions,
    databases,
    start,
    async records(stream: string): Promise<readonly StoredMessage[]> {
      return providers.eventStore.store.readStream(stream, 0, 1_000);
    },
  };
}

describe('a subscription of the event store', () => {
  it('handles what is there and what comes, in order, and tells its position', async () => {
    const seen: number[] = [];
    const handlers = {
      Summary: eventHandler({ category: 'order', handles: { Counted: ({ data }) => void seen.push(data.n) } }),
    };
    const { clock, store, start, records } = scene({ handlers });
    await store.append(Array.from({ length: 25 }, (_, n) => anEvent('1', n)));
    const { worker, stop } = start('one');
    await clock.advance(3_000);
    await store.append([anEvent('1', 25)]);
    await clock.advance(3_000);
    assert.deepEqual(
      seen,
      Array.from({ length: 26 }, (_, n) => n),
    );
    assert.equal(await isQuiet(worker.watched), true);
    await stop();
    const told = await records('position-bookshelf.Summary-bookshelf::order');
    assert.equal(factsIn(told.at(-1)?.dataText ?? '')['position'], Number(await store.head('bookshelf::order')));
    assert.equal(told.at(-1)?.type, 'Read');
  });

  it('handles the messages of all streams in the order of their positions, unless more may run at once', async () => {
    const orders: Record<number, number[]> = { 1: [], 4: [] };
    for (const concurrency of [1, 4]) {
      const handlers = {
        Summary: eventHandler({
          category: 'order',
          handles: { Counted: async ({ data }) => void orders[concurrency]?.push(data.n) },
        }),
      };
      const server = concurrency === 1 ? {} : { subscriptions: { Summary: { concurrency } } };
      const { clock, store, start } = scene({ handlers, server });
      await store.append(Array.from({ length: 40 }, (_, n) => anEvent(String(Math.floor((n % 20) / 5)), n)));
      const { stop } = start('one');
      await clock.advance(5_000);
      await stop();
    }
    const positions = Array.from({ length: 40 }, (_, n) => n);
    assert.deepEqual(orders[1], positions);
    assert.notDeepEqual(orders[4], positions);
    assert.deepEqual(
      orders[4]?.toSorted((one, other) => one - other),
      positions,
    );
  });

  it('goes on where it was, and handles nothing twice', async () => {
    const seen: number[] = [];
    const handlers = {
      Summary: eventHandler({ category: 'order', handles: { Counted: ({ data }) => void seen.push(data.n) } }),
    };
    const { clock, store, start } = scene({ handlers });
    for (let n = 0; n < 4; n += 1) {
      await store.append([anEvent('1', n)]);
      const { stop } = start(`replica ${n}`);
      await clock.advance(5_000);
      await stop();
    }
    assert.deepEqual(seen, [0, 1, 2, 3]);
  });

  it('passes over what was handled where it was raised, and what others caused', async () => {
    const seen: number[] = [];
    const handlers = {
      Summary: eventHandler({ category: 'order', handles: { Counted: ({ data }) => void seen.push(data.n) } }),
    };
    const { clock, store, start } = scene({
      handlers,
      server: { subscriptions: { Summary: { origin_stream: 'bookshelf::cart' } } },
    });
    await store.append([
      anEvent('1', 0, { origin: 'bookshelf::cart-7' }),
      anEvent('1', 1, { origin: 'bookshelf::basket-7' }),
      anEvent('1', 2),
      anEvent('1', 3, { origin: 'bookshelf::cart', asynchronous: false }),
      anEvent('1', 4, { origin: 'bookshelf::cart' }),
    ]);
    const { worker, stop } = start('one');
    await clock.advance(5_000);
    assert.deepEqual(seen, [0, 4]);
    assert.equal(await isQuiet(worker.watched), true);
    await stop();
  });

  it('passes over what fails, tries it again with growing waits, and gives it up as a dead letter', async () => {
    const attempts: string[] = [];
    const handlers = {
      Summary: eventHandler({
        category: 'order',
        handles: {
          Counted: ({ data }, { attempt }) => {
            attempts.push(`${data.n}/${attempt}`);
            if (data.n === 1) throw new Error('no stock');
          },
        },
      }),
    };
    const { clock, store, start, records, events } = scene({
      handlers,
      server: { event_store_subscription: { recovery_interval_seconds: 10, max_retries: 3, jitter_factor: 0 } },
    });
    await store.append([anEvent('1', 0), anEvent('2', 1), anEvent('3', 2)]);
    const { worker, stop } = start('one');
    await clock.advance(5_000);
    assert.deepEqual(attempts, ['0/1', '1/1', '2/1']);
    assert.equal(await isQuiet(worker.watched), false, 'it is to be tried again');
    await clock.advance(6_000);
    assert.deepEqual(attempts.slice(3), ['1/2']);
    await clock.advance(12_000);
    assert.deepEqual(attempts.slice(3), ['1/2']);
    await clock.advance(12_000);
    assert.deepEqual(attempts.slice(3), ['1/2', '1/3']);
    assert.equal(events.count('delivery.dead_lettered'), 1);
    assert.equal(await isQuiet(worker.watched), true);
    const told = await records('failed-bookshelf.Summary-bookshelf::order');
    assert.deepEqual(
      told.map(({ type }) => type),
      ['Failed', 'Failed', 'Exhausted'],
    );
    const facts = factsIn(told.at(-1)?.dataText ?? '');
    assert.deepEqual(
      [facts['position'], facts['retry_count'], facts['stream_name'], facts['stream_position'], facts['message_type']],
      [2, 3, 'bookshelf::order-2', 0, 'Bookshelf.Counted.v1'],
    );
    await stop();
  });

  it('resolves what failed and is handled in the end, also under another owner', async () => {
    const attempts: string[] = [];
    let broken = true;
    const handlers = {
      Summary: eventHandler({
        category: 'order',
        handles: {
          Counted: ({ data }, { attempt }) => {
            attempts.push(`${data.n}/${attempt}`);
            if (broken) throw new Error('no stock');
          },
        },
      }),
    };
    const { clock, store, start, records } = scene({
      handlers,
      server: { event_store_subscription: { recovery_interval_seconds: 10 } },
    });
    await store.append([anEvent('1', 0)]);
    const first = start('one');
    await clock.advance(3_000);
    await first.stop();
    broken = false;
    const second = start('two');
    await clock.advance(20_000);
    assert.deepEqual(attempts, ['0/1', '0/2']);
    assert.equal(await isQuiet(second.worker.watched), true);
    await second.stop();
    const told = await records('failed-bookshelf.Summary-bookshelf::order');
    assert.deepEqual(
      told.map(({ type }) => type),
      ['Failed', 'Resolved'],
    );
  });

  it('reads everything where it is asked to, without a gap', async () => {
    const seen: string[] = [];
    const handlers = {
      Audit: eventHandler({ category: '$all', handles: { $any: ({ stream }) => void seen.push(stream) } }),
    };
    const { clock, store, start } = scene({ handlers });
    await store.append([anEvent('1', 0), { ...anEvent('1', 1), stream: 'bookshelf::cart-1' }]);
    const { worker, stop } = start('one');
    await clock.advance(5_000);
    assert.equal(seen.length, 2);
    assert.equal(await isQuiet(worker.watched), true, 'what it writes about itself is not counted');
    await stop();
  });

  it('examines one by one what an owner may have died of, and gives up what has killed too often', async () => {
    const seen: number[] = [];
    const handlers = {
      Summary: eventHandler({ category: 'order', handles: { Counted: ({ data }) => void seen.push(data.n) } }),
    };
    const { clock, store, positions, start, events } = scene({ handlers });
    await store.append([anEvent('1', 0), anEvent('2', 1), anEvent('3', 2), anEvent('4', 3)]);
    // An owner that handled the first, began the second twice, and never came to leave.
    const key = 'bookshelf.Summary-bookshelf::order';
    await positions.claim(key, 0n, { position: 1n, failed: [] });
    await positions.start(key, 0n, 2n);
    await positions.start(key, 0n, 2n);
    const { stop } = start('one');
    await clock.advance(10_000);
    assert.deepEqual(seen, [2, 3]);
    const given = events.all.flatMap((each) => (each.event === 'delivery.dead_lettered' ? [each] : []));
    assert.deepEqual(
      given.map(({ entry_id, err }) => `${entry_id} ${err.name}`),
      ['2 CrashLoopError'],
    );
    assert.equal(events.count('delivery.suspected'), 3);
    await store.append([anEvent('1', 4)]);
    await clock.advance(5_000);
    assert.deepEqual(seen, [2, 3, 4]);
    assert.equal(events.count('delivery.suspected'), 3, 'only what was there then');
    await stop();
    assert.equal((await positions.look(key))?.clean, true);
  });

  it('takes up where the Python system has left, and what had failed there', async () => {
    const seen: string[] = [];
    const handlers = {
      Summary: eventHandler({
        category: 'order',
        group: 'shop.Summary',
        handles: { Counted: ({ data }, { attempt }) => void seen.push(`${data.n}/${attempt}`) },
      }),
    };
    const { clock, store, start } = scene({ handlers });
    await store.append([anEvent('1', 0), anEvent('1', 1), anEvent('1', 2)]);
    const record = (stream: string, type: string, facts: object): Append => ({
      stream,
      expectedVersion: null,
      messages: [
        {
          id: randomUUID(),
          type,
          dataText: JSON.stringify(facts),
          metadataText: '{"domain":{"kind":"READ_POSITION"}}',
          numbered: false,
        },
      ],
    });
    await store.append([
      record('position-shop.Summary-bookshelf::order', 'Read', { position: 2 }),
      record('failed-shop.Summary-bookshelf::order', 'Failed', {
        position: 1,
        message_type: 'Bookshelf.Counted.v1',
        message_id: 'x',
        retry_count: 0,
        stream_name: 'bookshelf::order-1',
        stream_position: 0,
      }),
    ]);
    const { stop } = start('one');
    await clock.advance(60_000);
    assert.deepEqual(seen, ['2/1', '0/2']);
    await stop();
  });
});

describe('replicas', () => {
  it('share the subscriptions out, and each has one owner', async () => {
    const handled: string[] = [];
    const handlers = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [
        `Summary${index}`,
        eventHandler({
          category: 'order',
          handles: { Counted: ({ data }) => void handled.push(`${index}/${data.n}`) },
        }),
      ]),
    );
    const { clock, store, start, events } = scene({ handlers });
    const replicas = ['one', 'two', 'three'].map((id) => start(id));
    await clock.advance(40_000);
    const owners = new Map<string, string>();
    for (const event of events.all) {
      if (event.event === 'lease.acquired') owners.set(event.lease, event.owner);
      if (event.event === 'lease.released' || event.event === 'lease.lost') owners.delete(event.lease);
    }
    assert.equal(owners.size, 10);
    const shares = ['one', 'two', 'three'].map((id) => [...owners.values()].filter((owner) => owner === id).length);
    assert.deepEqual(shares.toSorted(), [2, 4, 4]);
    await store.append(Array.from({ length: 5 }, (_, n) => anEvent('1', n)));
    await clock.advance(5_000);
    await replicas[0]?.stop();
    await store.append([anEvent('1', 5)]);
    await clock.advance(10_000);
    assert.deepEqual(new Set(handled).size, 60);
    assert.equal(handled.length, 60);
    await replicas[1]?.stop();
    await replicas[2]?.stop();
  });
});
