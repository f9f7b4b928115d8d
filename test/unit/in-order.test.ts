import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createInOrder } from '../../src/subscription/in-order.ts';

describe('tasks in order', () => {
  it('start in the order they came within a key, never two of a key at once, never more than the places', async () => {
    const scenario = fc.record({
      places: fc.integer({ min: 1, max: 4 }),
      keys: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 }),
      addBetween: fc.array(fc.boolean(), { maxLength: 80 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ places, keys, addBetween }) => {
        const started: { readonly key: string; readonly n: number }[] = [];
        const open: { readonly key: string; readonly end: () => void }[] = [];
        const tasks = createInOrder<{ readonly key: string; readonly n: number }>(places, (task) => {
          assert.ok(open.every(({ key }) => key !== task.key));
          started.push(task);
          return new Promise((end) => open.push({ key: task.key, end }));
        });
        const left = keys.map((key, n) => ({ key, n }));
        const turns = [...addBetween];
        while (left.length > 0 || open.length > 0) {
          const next = turns.pop() === true || open.length === 0 ? left.shift() : undefined;
          if (next) tasks.add(next.key, next);
          else open.shift()?.end();
          await new Promise((resolve) => setImmediate(resolve));
          assert.ok(tasks.running <= places && tasks.running === open.length);
        }
        assert.equal(started.length, keys.length);
        for (const key of ['a', 'b', 'c']) {
          const order = started.filter((task) => task.key === key).map(({ n }) => n);
          assert.deepEqual(
            order,
            [...order].sort((a, b) => a - b),
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('hands back what has not begun', async () => {
    const tasks = createInOrder<string>(1, () => new Promise(() => undefined));
    for (const task of ['a1', 'a2', 'b1']) tasks.add(task.charAt(0), task);
    assert.deepEqual(tasks.drop(), ['a2', 'b1']);
    assert.deepEqual([tasks.running, tasks.queued], [1, 0]);
  });

  it('goes on with a key whose waiting tasks were taken out', async () => {
    let end = () => undefined as unknown;
    const started: string[] = [];
    const tasks = createInOrder<string>(1, (task) => {
      started.push(task);
      return new Promise<void>((resolve) => {
        end = () => resolve();
      });
    });
    for (const task of ['a1', 'b1']) tasks.add(task.charAt(0), task);
    tasks.drop();
    tasks.add('b', 'b2');
    end();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(started, ['a1', 'b2']);
  });
});
