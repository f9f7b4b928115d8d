import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFold } from '../../src/telemetry/fold.ts';

const given = (maxKeys = 10) => createFold<string>(1_000, maxKeys);

describe('folding', () => {
  it('admits the first of a kind and holds back its repeats', () => {
    const fold = given();
    assert.equal(fold.admit('a', 'a1', 0), true);
    assert.equal(fold.admit('b', 'b1', 0), true);
    assert.equal(fold.admit('a', 'a2', 999), false);
  });

  it('gives what was held back when the window ends: the last, and how many', () => {
    const fold = given();
    for (const [fact, now] of [
      ['a1', 0],
      ['a2', 100],
      ['a3', 200],
    ] as const)
      fold.admit('a', fact, now);
    assert.deepEqual(fold.due(999), []);
    assert.deepEqual(fold.due(1_000), [{ last: 'a3', count: 2 }]);
    assert.deepEqual(fold.due(2_000), []);
  });

  it('opens a window anew after one that held something back', () => {
    const fold = given();
    fold.admit('a', 'a1', 0);
    fold.admit('a', 'a2', 10);
    fold.due(1_000);
    assert.equal(fold.admit('a', 'a3', 1_500), false);
    assert.deepEqual(fold.due(2_000), [{ last: 'a3', count: 1 }]);
  });

  it('admits again after a window without repeats, also where nobody asked for what is due', () => {
    const fold = given();
    fold.admit('a', 'a1', 0);
    assert.equal(fold.admit('a', 'a2', 1_000), true);
  });

  it('counts what comes while the end of a window is late to be noticed', () => {
    const fold = given();
    fold.admit('a', 'a1', 0);
    fold.admit('a', 'a2', 10);
    assert.equal(fold.admit('a', 'a3', 5_000), false);
    assert.deepEqual(fold.due(5_000), [{ last: 'a3', count: 2 }]);
  });

  it('says when the next window ends', () => {
    const fold = given();
    assert.equal(fold.nextAt(), null);
    fold.admit('a', 'a1', 100);
    fold.admit('b', 'b1', 300);
    assert.equal(fold.nextAt(), 1_100);
    fold.due(1_100);
    assert.equal(fold.nextAt(), 1_300);
  });

  it('tells no more kinds apart than it may, and makes room when windows end', () => {
    const fold = given(2);
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((kind) => fold.admit(kind, kind, 0)),
      [true, true, true, false],
    );
    assert.deepEqual(fold.due(1_000), [{ last: 'd', count: 1 }]);
    assert.equal(fold.admit('e', 'e', 2_500), true);
  });

  it('gives everything at the end', () => {
    const fold = given();
    fold.admit('a', 'a1', 0);
    fold.admit('a', 'a2', 0);
    fold.admit('b', 'b1', 0);
    assert.deepEqual(fold.end(), [{ last: 'a2', count: 1 }]);
    assert.equal(fold.nextAt(), null);
  });
});
