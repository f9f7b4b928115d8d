import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandHandler, eventHandler, isHandlerDefinition, projector, subscriber } from '../../src/handler/define.ts';
import type { HandlerDefinition } from '../../src/handler/handler.ts';
import { handlerMark } from '../../src/handler/handler.ts';

const nothing = () => undefined;
/** What a caller without types may pass. */
const untyped = (define: unknown, input: unknown) => (define as (input: unknown) => HandlerDefinition)(input);

describe('a handler definition', () => {
  it('says its kind, what it reads and which functions it has', () => {
    const definition = commandHandler({ category: 'order', handles: { PlaceOrder: nothing } });
    assert.equal(definition[handlerMark], 'command_handler');
    assert.deepEqual(definition.sources, ['order']);
    assert.equal(definition.handles.get('PlaceOrder'), nothing);
    assert.deepEqual(definition.faults, []);
  });

  it('of an event handler takes one category or several', () => {
    assert.deepEqual(eventHandler({ category: 'order', handles: { OrderPlaced: nothing } }).sources, ['order']);
    assert.deepEqual(eventHandler({ categories: ['order', 'book'], handles: { OrderPlaced: nothing } }).sources, [
      'order',
      'book',
    ]);
  });

  it('of a projector takes several categories', () => {
    const definition = projector({ categories: ['order', 'book'], handles: { $any: nothing } });
    assert.equal(definition[handlerMark], 'projector');
    assert.deepEqual(definition.sources, ['order', 'book']);
  });

  it('of a subscriber takes a stream, and its broker is `default` unless it names one', () => {
    assert.equal(subscriber({ stream: 'external-orders', handle: nothing }).broker, 'default');
    const definition = subscriber({ stream: 'external-orders', broker: 'partners', handle: nothing });
    assert.equal(definition.broker, 'partners');
    assert.equal(definition.handles.get('$any'), nothing);
  });

  it('cannot be changed', () => {
    const definition = projector({ categories: ['order'], handles: { $any: nothing } });
    assert.ok(
      Object.isFrozen(definition) && Object.isFrozen(definition.options) && Object.isFrozen(definition.sources),
    );
  });

  it('finds no function for names that every object answers to', () => {
    const { handles } = eventHandler({ category: 'order', handles: { OrderPlaced: nothing } });
    for (const name of ['toString', '__proto__', 'constructor', 'hasOwnProperty']) {
      assert.equal(handles.get(name), undefined, name);
    }
  });

  it('knows the line that it was made on', () => {
    const { place } = projector({ categories: ['order'], handles: { $any: nothing } });
    assert.match(place ?? '', /handler-define\.test\.ts:\d+:\d+$/);
  });

  it('is known by its mark, and nothing else is taken for one', () => {
    assert.ok(isHandlerDefinition(projector({ categories: ['order'], handles: { $any: nothing } })));
    const hostile = new Proxy({}, { has: () => assert.fail('looked at') });
    for (const other of [null, undefined, 7, 'handler', {}, [], nothing, hostile]) {
      assert.equal(isHandlerDefinition(other), false);
    }
  });
});

describe('a definition that is wrong', () => {
  const cases: readonly (readonly [string, HandlerDefinition, string])[] = [
    [
      'without a category',
      untyped(commandHandler, { handles: { PlaceOrder: nothing } }),
      "category must be the name of a category, like 'order'",
    ],
    [
      'with a list that is empty',
      untyped(projector, { categories: [], handles: { OrderPlaced: nothing } }),
      "categories must be a list of names of categories, like ['order']",
    ],
    [
      'with something else than a function',
      untyped(eventHandler, { category: 'order', handles: { OrderPlaced: 42 } }),
      'handles.OrderPlaced must be a function, not number',
    ],
    [
      'with no functions',
      untyped(eventHandler, { category: 'order', handles: {} }),
      'handles must have a function for each message name: it has none',
    ],
    [
      'with an option of another name',
      untyped(eventHandler, { category: 'order', handles: { OrderPlaced: nothing }, retries: 3 }),
      'has an unknown option retries; known are name, group, database, profile, sequentialBy, subscription, examples, handleError, reset',
    ],
    [
      'with an option of another type',
      untyped(eventHandler, { category: 'order', handles: { OrderPlaced: nothing }, group: '' }),
      'group must be a text that is not empty',
    ],
    [
      'that names a broker but is no subscriber',
      untyped(eventHandler, { category: 'order', handles: { OrderPlaced: nothing }, broker: 'partners' }),
      'has an unknown option broker; known are name, group, database, profile, sequentialBy, subscription, examples, handleError, reset',
    ],
    [
      'of a subscriber with a broker that is no name',
      untyped(subscriber, { stream: 'external-orders', handle: nothing, broker: 7 }),
      'broker must be a name under [brokers]',
    ],
    [
      'of a subscriber without a function',
      untyped(subscriber, { stream: 'external-orders' }),
      'handle must be a function',
    ],
  ];
  for (const [what, { faults }, sentence] of cases) {
    it(`${what} says so`, () => assert.deepEqual(faults, [sentence]));
  }

  it('says everything that is wrong with it at once', () => {
    const { faults } = untyped(commandHandler, { categories: ['order'], handles: { PlaceOrder: 'no' }, name: 7 });
    assert.equal(faults.length, 4);
  });

  it('does not throw, whatever it is given', () => {
    for (const input of [undefined, null, 7, [], 'order']) {
      assert.ok(untyped(subscriber, input).faults.length > 0);
    }
  });
});
