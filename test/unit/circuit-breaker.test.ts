import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Breaker } from '../../src/subscription/circuit-breaker.ts';
import { after, at, closed } from '../../src/subscription/circuit-breaker.ts';

const config = { threshold: 3, resetAfterMs: 1_000 };
const failTimes = (times: number): Breaker =>
  Array.from({ length: times }).reduce<Breaker>((breaker) => after(breaker, false, 0, config), closed);

describe('the circuit breaker', () => {
  it('stays closed below the threshold, and a success sets the count back', () => {
    assert.deepEqual(failTimes(2), { state: 'closed', failures: 2 });
    assert.deepEqual(after(failTimes(2), true, 0, config), closed);
  });
  it('opens at the threshold, for the reset time', () => {
    assert.deepEqual(failTimes(3), { state: 'open', until: 1_000 });
  });
  it('lets a probe through once its time is up', () => {
    assert.equal(at(failTimes(3), 999).state, 'open');
    assert.equal(at(failTimes(3), 1_000).state, 'half_open');
  });
  it('closes after a good probe and opens again after a bad one', () => {
    assert.deepEqual(after({ state: 'half_open' }, true, 5, config), closed);
    assert.deepEqual(after({ state: 'half_open' }, false, 5, config), { state: 'open', until: 1_005 });
  });
  it('is not moved by handlers that end while it is open', () => {
    const open: Breaker = { state: 'open', until: 1_000 };
    assert.equal(after(open, true, 10, config), open);
    assert.equal(after(open, false, 900, config), open);
  });
});
