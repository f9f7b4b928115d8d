import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Delivery } from '../../src/broker/broker.ts';
import { createAppetite } from '../../src/subscription/appetite.ts';

const mega = 1024 * 1024;
const of = (count: number, size: number): readonly Delivery[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `1-${index}`,
    stream: 'order',
    body: { length: size } as string,
    bare: false,
    raw: null,
    attempt: 1,
    history: [],
    redelivered: false,
    suspect: false,
    crashes: 0,
  }));

describe('the appetite of a subscription', () => {
  /** The bytes in hand of all subscriptions. */
  const load = { bytes: 0 };
  beforeEach(() => {
    load.bytes = 0;
  });

  it('begins small, and doubles with each read that comes full', () => {
    const appetite = createAppetite(load);
    const asked: number[] = [];
    for (let read = 0; read < 10; read += 1) {
      const count = Math.min(500, appetite.count(0));
      asked.push(count);
      appetite.ate(of(count, 500), count);
    }
    assert.deepEqual(asked, [1, 2, 4, 8, 16, 32, 64, 128, 256, 500]);
  });

  it('asks for whole numbers, also after it has grown by odd ones and shrunk', () => {
    const appetite = createAppetite(load);
    appetite.ate(of(25, 500), 25);
    const asked: number[] = [];
    for (let read = 0; read < 8; read += 1) {
      asked.push(appetite.count(0));
      appetite.ate([], 50);
    }
    assert.deepEqual(asked, [50, 25, 12, 6, 3, 1, 1, 1]);
  });

  it('stays small while little comes', () => {
    const appetite = createAppetite(load);
    for (let read = 0; read < 1_000; read += 1) appetite.ate(of(1, 500), appetite.count(0));
    assert.equal(appetite.count(0), 2);
  });

  it('asks for large bodies one by one, and for none while enough are in hand', () => {
    const appetite = createAppetite(load);
    appetite.ate(of(2, 10 * mega), 8);
    const asked = [0, 10, 20, 30].map((held) => {
      load.bytes = held * mega;
      return appetite.count(load.bytes);
    });
    assert.deepEqual(asked, [1, 0, 0, 0]);
  });

  it('asks for a body that is larger than all that may be in hand when there is no other', () => {
    const appetite = createAppetite(load);
    appetite.ate(of(1, 100 * mega), 8);
    assert.deepEqual([appetite.count(0), appetite.count(1)], [1, 0]);
  });

  it('leaves room to others, and takes one when it has none', () => {
    const appetite = createAppetite(load);
    appetite.ate(of(1, 10 * mega), 8);
    load.bytes = 16 * mega;
    assert.deepEqual([appetite.count(1_000), appetite.count(0)], [0, 1]);
  });

  it('comes back once bodies are small again', () => {
    const appetite = createAppetite(load);
    appetite.ate(of(8, 10 * mega), 8);
    let reads = 0;
    for (let count = 1; count < 100; reads += 1) {
      count = appetite.count(0);
      appetite.ate(of(count, 500), count);
    }
    assert.ok(reads < 300, `${reads} reads`);
  });
});
