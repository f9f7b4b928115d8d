import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPool } from '../../src/connection/pool.ts';
import { createManualClock } from '../../src/runtime/manual-clock.ts';

interface Thing {
  readonly name: number;
  broken: boolean;
  ended: boolean;
  usable(): boolean;
  end(): Promise<void>;
}

function given({ max = 2, keep = 2, fails = () => false as boolean } = {}) {
  const made: Thing[] = [];
  const clock = createManualClock();
  const make = async () => {
    if (fails()) throw new Error('cannot be made');
    const thing: Thing = {
      name: made.length,
      broken: false,
      ended: false,
      usable: () => !thing.broken,
      async end() {
        thing.ended = true;
      },
    };
    made.push(thing);
    return thing;
  };
  const pool = createPool<Thing>({ max, keep, idleMs: 1_000 }, make, clock);
  const never = new AbortController().signal;
  return { pool, made, clock, lend: (signal = never) => pool.lend(signal) };
}

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol();
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
};

describe('a pool', () => {
  it('makes no more than it may, and serves those who wait in their order', async () => {
    const { pool, made, lend } = given();
    const [one] = [await lend(), await lend()];
    const [third, fourth] = [lend(), lend()];
    assert.equal(await settled(third), false);
    pool.giveBack(one);
    assert.equal(await third, one);
    assert.equal(await settled(fourth), false);
    assert.equal(made.length, 2);
  });

  it('lends again what was given back last, and ends what nobody has wanted for long', async () => {
    const { pool, made, clock, lend } = given({ max: 3, keep: 1 });
    const all = [await lend(), await lend(), await lend()];
    for (const each of all) pool.giveBack(each);
    assert.equal(made.filter(({ ended }) => ended).length, 0);
    for (let times = 0; times < 4; times += 1) {
      await clock.advance(600);
      const last = await lend();
      assert.equal(last.name, 2);
      pool.giveBack(last);
    }
    assert.deepEqual(
      made.map(({ ended }) => ended),
      [true, true, false],
    );
  });

  it('replaces what is broken, whether it is free, given back or waited for', async () => {
    const { pool, made, lend } = given();
    const one = await lend();
    pool.giveBack(one);
    one.broken = true;
    const two = await lend();
    assert.notEqual(two, one);
    assert.ok(one.ended);
    await lend();
    const waiting = lend();
    two.broken = true;
    pool.giveBack(two);
    assert.equal((await waiting).name, 3);
    assert.equal(made.length, 4);
  });

  it('gives the next who waits a try when one could not be made', async () => {
    let failing = true;
    const { lend } = given({ max: 1, fails: () => failing });
    const [first, second] = [lend(), lend()];
    const refused = assert.rejects(first, /cannot be made/);
    failing = false;
    await refused;
    assert.equal((await second).name, 0);
  });

  it('forgets those who no longer wait', async () => {
    const { pool, lend } = given({ max: 1 });
    const one = await lend();
    const impatient = new AbortController();
    const waiting = lend(impatient.signal);
    const next = lend();
    impatient.abort(new Error('no longer'));
    await assert.rejects(waiting, /no longer/);
    pool.giveBack(one);
    assert.equal(await next, one);
    await assert.rejects(lend(impatient.signal), /no longer/);
  });

  it('turns away those who wait or come when it is closed, and ends what comes back', async () => {
    const { pool, lend } = given();
    const [one, two] = [await lend(), await lend()];
    pool.giveBack(one);
    await lend();
    const waiting = lend();
    pool.close(new Error('closed'));
    await assert.rejects(waiting, /closed/);
    await assert.rejects(lend(), /closed/);
    pool.giveBack(two);
    assert.ok(two.ended);
  });
});
