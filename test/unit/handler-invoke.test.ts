import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogFacts } from '../../src/handler/context.ts';
import { createDeadlines } from '../../src/handler/deadlines.ts';
import { eventHandler, subscriber } from '../../src/handler/define.ts';
import type { Handle, HandlerContext, HandlerLog } from '../../src/handler/handler.ts';
import type { Incoming } from '../../src/handler/incoming.ts';
import type { Invocable, Outcome } from '../../src/handler/invoke.ts';
import { invoke } from '../../src/handler/invoke.ts';
import { createMemoryDatabase, createMemoryUnitsOfWork } from '../../src/handler/memory-unit-of-work.ts';
import type { Raised } from '../../src/handler/raised.ts';
import type { UnitOfWork, UnitsOfWork } from '../../src/handler/unit-of-work.ts';
import type { JsonObject } from '../../src/message/message.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { aMessage, anExternal } from '../support/messages.ts';

const timeoutMs = 1_000;
const never = () => new Promise<never>(() => undefined);

/** A handler named Test, called by a daemon whose time stands still. */
function given(over: { readonly unitsOfWork?: (memory: UnitsOfWork) => UnitsOfWork } = {}) {
  const clock = createManualClock();
  const hard = new AbortController();
  const lost = new AbortController();
  const raised: Raised[] = [];
  const lines: (LogFacts & { readonly text: string; readonly facts: object | undefined })[] = [];
  const database = createMemoryDatabase('default', (all) => void raised.push(...all));
  const memory = createMemoryUnitsOfWork(database);
  const deadlines = createDeadlines(timeoutMs, { clock, hard: hard.signal });
  const log = (about: LogFacts): HandlerLog => {
    const line = (text: string, facts?: object) => void lines.push({ ...about, text, facts });
    return { debug: line, info: line, warn: line, error: line };
  };
  const deps = {
    domain: 'bookshelf',
    config: Object.freeze({ currency: 'EUR' }),
    unitsOfWork: over.unitsOfWork?.(memory) ?? memory,
    log,
    deadlines,
  };
  let signalsMade = 0;
  const signal = () => {
    signalsMade += 1;
    return lost.signal;
  };
  return {
    clock,
    hard,
    lost,
    deadlines,
    database,
    raised,
    lines,
    signalsMade: () => signalsMade,
    document: (id: string): unknown => {
      const text = database.collections.get('docs')?.get(id);
      return text === undefined ? null : JSON.parse(text);
    },
    call: (handler: Invocable, incoming: Incoming = aMessage(), attempt = 1): Promise<Outcome> =>
      invoke(handler, incoming, { entryId: '1-0', attempt, signal }, deps),
  };
}

const handling = (handle: Handle<JsonObject>): Invocable => ({
  name: 'Test',
  handles: eventHandler({ category: 'order', handles: { OrderPlaced: handle } }).handles,
});

/** The same, but for a few members; a spread would look at all of them. */
const overridden = (work: UnitOfWork, members: Partial<UnitOfWork>): UnitOfWork =>
  Object.create(work, Object.getOwnPropertyDescriptors(members)) as UnitOfWork;

const failure = (outcome: Outcome): Error =>
  outcome.kind === 'failed' ? outcome.error : assert.fail(`the outcome is ${outcome.kind}`);

describe('a call of a handler', () => {
  it('gives it the message and ends with what it returns', async () => {
    const { call } = given();
    const outcome = await call(
      handling(async ({ data }) => `placed ${data['order_id']}`),
      aMessage({ data: { order_id: 'o-1' } }),
    );
    assert.deepEqual(outcome, { kind: 'done', effect: 'ok', value: 'placed o-1' });
  });

  it('takes the function of the message’s name, or `$any` where it has none of that name', async () => {
    const { call } = given();
    const { handles } = eventHandler({
      category: 'order',
      handles: { OrderPlaced: () => 'by name', $any: ({ name }) => `any: ${name}` },
    });
    const value = async (name: string) => {
      const outcome = await call({ name: 'Test', handles }, aMessage({ name }));
      return outcome.kind === 'done' && outcome.value;
    };
    assert.equal(await value('OrderPlaced'), 'by name');
    assert.equal(await value('OrderShipped'), 'any: OrderShipped');
  });

  it('is skipped where it has no function for the message, also for names that every object answers to', async () => {
    const { call } = given();
    const handler = handling(() => assert.fail('called'));
    for (const name of ['OrderShipped', 'toString', '__proto__', 'constructor']) {
      assert.deepEqual(await call(handler, aMessage({ name })), { kind: 'done', effect: 'skipped', value: undefined });
    }
  });

  it('gives a subscriber the payload as it came', async () => {
    const { call } = given();
    const { handles } = subscriber({ stream: 'external-orders', handle: (payload) => payload });
    const outcome = await call({ name: 'Test', handles }, anExternal(['any', 'json']));
    assert.deepEqual(outcome.kind === 'done' && outcome.value, ['any', 'json']);
  });

  it('does not take a payload’s own `name` for a message’s', async () => {
    const { call } = given();
    const handles = new Map([
      ['OrderPlaced', () => assert.fail('called')],
      ['$any', () => 'any'],
    ]);
    const outcome = await call({ name: 'Test', handles }, anExternal({ name: 'OrderPlaced' }));
    assert.equal(outcome.kind === 'done' && outcome.value, 'any');
  });

  it('fails where the handler throws, now or later', async () => {
    const { call } = given();
    const declined = new Error('card declined');
    const now = handling(() => {
      throw declined;
    });
    assert.equal(failure(await call(now)), declined);
    assert.equal(failure(await call(handling(() => Promise.reject(declined)))), declined);
  });

  it('survives whatever is thrown', async () => {
    const { call } = given();
    const hostile = new Proxy(new Error('hostile'), {
      get: () => {
        throw new Error('no');
      },
      getPrototypeOf: () => {
        throw new Error('no');
      },
    });
    const unreadable = {
      toString() {
        throw new Error('no');
      },
    };
    for (const thrown of [null, undefined, 'text', 7, Symbol('s'), 10n, {}, unreadable, hostile]) {
      const error = failure(await call(handling(() => Promise.reject(thrown))));
      assert.equal(typeof error, 'object');
    }
  });

  it('survives a promise that is none', async () => {
    const { call } = given();
    const thenable = {
      get then() {
        throw new Error('no promise');
      },
    };
    assert.equal(failure(await call(handling(() => thenable))).message, 'no promise');
  });
});

describe('the context of a handler', () => {
  const seen = async (look: (ctx: HandlerContext) => unknown, incoming?: Incoming, attempt?: number) => {
    const world = given();
    const outcome = await world.call(
      handling((_, ctx) => look(ctx)),
      incoming,
      attempt,
    );
    assert.equal(outcome.kind, 'done', String(outcome.kind !== 'done' && outcome.error));
    return { ...world, value: outcome.kind === 'done' ? outcome.value : null };
  };

  it('tells the message’s id, stream and correlation, and the attempt', async () => {
    const { value } = await seen(
      ({ message, attempt }) => ({ ...message, attempt }),
      aMessage({ correlationId: 'c' }),
      3,
    );
    const expected = { id: 'bookshelf::order-42-0.1', correlationId: 'c', stream: 'bookshelf::order-42', attempt: 3 };
    assert.deepEqual(value, expected);
  });

  it('has the `[custom]` table of domain.toml', async () => {
    assert.equal((await seen((ctx) => ctx.config['currency'])).value, 'EUR');
  });

  it('logs with what is known of the message', async () => {
    const { lines } = await seen((ctx) => ctx.log.info('order seen', { lines: 3 }));
    const about = { handler: 'Test', stream: 'bookshelf::order-42', attempt: 1, correlation_id: null };
    const message = { message_id: 'bookshelf::order-42-0.1', message_type: 'Bookshelf.OrderPlaced.v1' };
    assert.deepEqual(lines, [{ ...about, ...message, text: 'order seen', facts: { lines: 3 } }]);
  });

  it('can be taken apart', async () => {
    const { raised } = await seen(async ({ raise, process, store, log, signal }) => {
      await store('docs').put('a', {});
      raise('OrderSeen', { category: 'order', id: 'o-1', data: {} });
      process('ShipOrder', {}, { category: 'order' });
      log.debug(`${signal.aborted}`);
    });
    assert.deepEqual(
      raised.map(({ kind, name }) => `${kind} ${name}`),
      ['EVENT OrderSeen', 'COMMAND ShipOrder'],
    );
  });

  it('cannot be changed', async () => {
    await seen((ctx) => assert.throws(() => Object.assign(ctx, { attempt: 7 }), TypeError));
  });

  it('hands on the correlation of the message, or its id where it has none', async () => {
    const raise = (ctx: HandlerContext) => ctx.raise('OrderSeen', { category: 'order', id: 'o-1', data: {} });
    const correlated = await seen(raise, aMessage({ correlationId: 'c' }));
    assert.deepEqual(correlated.raised[0]?.options, { correlation_id: 'c', causation_id: 'bookshelf::order-42-0.1' });
    const first = await seen(raise);
    assert.equal(first.raised[0]?.options['correlation_id'], 'bookshelf::order-42-0.1');
  });

  it('makes no signal that the handler does not look at', async () => {
    assert.equal((await seen(() => undefined)).signalsMade(), 0);
    assert.equal((await seen(({ signal }) => assert.equal(signal.aborted, false))).signalsMade(), 1);
  });

  it('begins no unit of work that the handler does not use', async () => {
    let begun = 0;
    const counting = (memory: UnitsOfWork): UnitsOfWork => ({
      ...memory,
      begin: (occasion) => {
        begun += 1;
        return memory.begin(occasion);
      },
    });
    const { call } = given({ unitsOfWork: counting });
    await call(handling(() => undefined));
    assert.equal(begun, 0);
    await call(handling(async (_, { store }) => [await store('docs').get('a'), await store('docs').get('b')]));
    assert.equal(begun, 1);
  });

  it('does nothing once the handler has returned', async () => {
    const { call, document } = given();
    let late: Promise<unknown> = Promise.resolve();
    const floating = handling((_, ctx) => {
      late = new Promise(setImmediate).then(() => ctx.store('docs').put('late', {}));
    });
    assert.equal((await call(floating)).kind, 'done');
    await assert.rejects(late, { code: 'unit_of_work_closed' });
    assert.equal(document('late'), null);
  });
});

describe('the effects of a handler', () => {
  const put = handling(async ({ data }, ctx) => {
    await ctx.store('docs').put('a', data);
    ctx.raise('OrderSeen', { category: 'order', id: 'o-1', data });
  });

  it('are there when it returns', async () => {
    const { call, document, raised } = given();
    await call(put, aMessage({ data: { n: 1 } }));
    assert.deepEqual(document('a'), { n: 1 });
    assert.equal(raised.length, 1);
  });

  it('are not there when it throws', async () => {
    const { call, document, raised } = given();
    const failing = handling(async (_, ctx) => {
      await ctx.store('docs').put('a', {});
      ctx.raise('OrderSeen', { category: 'order', id: 'o-1', data: {} });
      throw new Error('card declined');
    });
    assert.equal((await call(failing)).kind, 'failed');
    assert.equal(document('a'), null);
    assert.deepEqual(raised, []);
  });

  it('are there once, however often the message comes', async () => {
    const { call, document, raised } = given();
    await call(put, aMessage({ data: { n: 1 } }));
    const again = await call(put, aMessage({ data: { n: 2 } }), 2);
    assert.deepEqual(again, { kind: 'done', effect: 'duplicate', value: undefined });
    assert.deepEqual(document('a'), { n: 1 });
    assert.equal(raised.length, 1);
  });

  it('of a duplicate are none, also where the handler makes an error of its own of it', async () => {
    const { call } = given();
    await call(put);
    const wrapping = handling((_, ctx) =>
      ctx
        .store('docs')
        .get('a')
        .catch((cause) => {
          throw new Error('the order is gone', { cause });
        }),
    );
    const swallowing = handling((_, ctx) =>
      ctx
        .store('docs')
        .get('a')
        .catch(() => null),
    );
    for (const handler of [wrapping, swallowing]) {
      const outcome = await call(handler);
      assert.equal(outcome.kind === 'done' && outcome.effect, 'duplicate');
    }
  });
});

describe('a handler that runs too long', () => {
  it('has failed when its time is up, and not before', async () => {
    const { clock, call } = given();
    let outcome: Outcome | null = null;
    const calling = call(handling(never)).then((ended) => {
      outcome = ended;
    });
    await clock.advance(timeoutMs - 1);
    assert.equal(outcome, null);
    await clock.advance(1);
    await calling;
    assert.equal(failure(outcome ?? assert.fail()).message, 'the handler has taken more than 1000 ms');
  });

  it('is told by its signal', async () => {
    const { clock, call } = given();
    let reason: unknown = null;
    const calling = call(
      handling((_, { signal }) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return never();
      }),
    );
    await clock.advance(timeoutMs);
    assert.equal(failure(await calling), reason);
  });

  it('finds its signal aborted when it first looks after its time', async () => {
    const { clock, call } = given();
    const looked = new Promise<boolean>((resolve) => {
      const calling = call(
        handling(async (_, ctx) => {
          await clock.sleep(timeoutMs + 1, new AbortController().signal);
          resolve(ctx.signal.aborted);
        }),
      );
      void calling;
    });
    await clock.advance(timeoutMs + 1);
    assert.equal(await looked, true);
  });

  it('has no effect any more, whatever it still does', async () => {
    const { clock, call, document } = given();
    let late: unknown = null;
    const calling = call(
      handling(async (_, ctx) => {
        const docs = ctx.store('docs');
        await docs.put('a', {});
        await clock.sleep(timeoutMs + 1, new AbortController().signal);
        late = await docs.put('b', {}).catch((error) => error);
      }),
    );
    await clock.advance(timeoutMs + 1);
    assert.equal((await calling).kind, 'failed');
    assert.equal((late as { code: string } | null)?.code, 'unit_of_work_closed');
    assert.equal(document('a'), null);
    assert.equal(document('b'), null);
  });

  it('counts as lingering until it ends', async () => {
    const { clock, call, deadlines } = given();
    const calling = call(handling(() => clock.sleep(5_000, new AbortController().signal)));
    await clock.advance(timeoutMs);
    assert.equal((await calling).kind, 'failed');
    assert.equal(deadlines.lingering, 1);
    await clock.advance(5_000);
    assert.equal(deadlines.lingering, 0);
  });

  it('may fail in its own way afterwards: nobody hears of it', async () => {
    const { clock, call } = given();
    const calling = call(
      handling(async () => {
        await clock.sleep(timeoutMs + 1, new AbortController().signal);
        throw new Error('late');
      }),
    );
    await clock.advance(timeoutMs + 1);
    assert.match(failure(await calling).message, /more than 1000 ms/);
  });

  it('does not shorten the time of those that began later', async () => {
    const { clock, call } = given();
    const ended: string[] = [];
    const start = (name: string) => void call(handling(never)).then(() => ended.push(name));
    start('first');
    await clock.advance(600);
    start('second');
    await clock.advance(600);
    assert.deepEqual(ended, ['first']);
    await clock.advance(400);
    assert.deepEqual(ended, ['first', 'second']);
  });

  it('leaves the time of the next one whole, however many ended before it', async () => {
    const { clock, call } = given();
    for (let n = 0; n < 3; n += 1) {
      await call(
        handling(() => undefined),
        aMessage({ id: `m-${n}` }),
      );
      await clock.advance(900);
    }
    let ended = false;
    void call(handling(never)).then(() => {
      ended = true;
    });
    await clock.advance(999);
    assert.equal(ended, false);
    await clock.advance(1);
    assert.equal(ended, true);
  });
});

describe('what is nobody’s fault', () => {
  const unavailable = new UnavailableError('database_unreachable', 'the database cannot be reached');

  it('is a hard stop: the handler is told, and nothing is counted', async () => {
    const { hard, call } = given();
    let aborted = false;
    const calling = call(
      handling((_, { signal }) => {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        return never();
      }),
    );
    hard.abort();
    const outcome = await calling;
    assert.equal(outcome.kind === 'unavailable' && outcome.error.code, 'stopping');
    assert.ok(aborted);
  });

  it('is a hard stop before the handler began: it is not called', async () => {
    const { hard, call } = given();
    hard.abort();
    assert.equal((await call(handling(() => assert.fail('called')))).kind, 'unavailable');
  });

  it('is a message that another consumer has taken over', async () => {
    const { lost, call, document } = given();
    const calling = call(
      handling(async (_, ctx) => {
        await ctx.store('docs').put('a', {});
        assert.equal(ctx.signal.aborted, false);
        await never();
      }),
    );
    await new Promise(setImmediate);
    lost.abort();
    const outcome = await calling;
    assert.equal(outcome.kind === 'unavailable' && outcome.error.code, 'lost');
    assert.equal(document('a'), null);
  });

  it('is a database that is away at the commit', async () => {
    const away = (memory: UnitsOfWork): UnitsOfWork => ({
      ...memory,
      begin: (occasion) => overridden(memory.begin(occasion), { commit: () => Promise.reject(unavailable) }),
    });
    const { call } = given({ unitsOfWork: away });
    const outcome = await call(handling((_, ctx) => ctx.store('docs').put('a', {})));
    assert.deepEqual(outcome, { kind: 'unavailable', error: unavailable });
  });

  it('is a database that was lost on the way, whatever the handler made of it', async () => {
    const losing = (memory: UnitsOfWork): UnitsOfWork => ({
      ...memory,
      begin: (occasion) => overridden(memory.begin(occasion), { outageBehind: () => unavailable }),
    });
    const { call } = given({ unitsOfWork: losing });
    const outcome = await call(
      handling((_, ctx) => {
        ctx.store('docs');
        throw new Error('no such order');
      }),
    );
    assert.deepEqual(outcome, { kind: 'unavailable', error: unavailable });
  });
});

describe('the deadlines of a subscription', () => {
  it('keep one timer, however many handlers run', async () => {
    const clock = createManualClock();
    let timers = 0;
    const counting = {
      ...clock,
      sleep: (ms: number, signal: AbortSignal) => {
        timers += 1;
        return clock.sleep(ms, signal);
      },
    };
    const deadlines = createDeadlines(timeoutMs, { clock: counting, hard: new AbortController().signal });
    for (let n = 0; n < 1_000; n += 1) {
      const cut = () => undefined;
      deadlines.end(deadlines.begin(cut));
    }
    assert.equal(timers, 1);
    deadlines.close();
  });

  it('let go of the timer when they are closed', async () => {
    const clock = createManualClock();
    let asleep = 0;
    const counting = {
      ...clock,
      sleep: async (ms: number, signal: AbortSignal) => {
        asleep += 1;
        await clock.sleep(ms, signal);
        asleep -= 1;
      },
    };
    const deadlines = createDeadlines(timeoutMs, { clock: counting, hard: new AbortController().signal });
    deadlines.begin(() => undefined);
    assert.equal(asleep, 1);
    deadlines.close();
    await new Promise(setImmediate);
    assert.equal(asleep, 0);
  });
});
