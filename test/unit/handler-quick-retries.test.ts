import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Outcome } from '../../src/handler/invoke.ts';
import type { QuickRetries } from '../../src/handler/quick-retries.ts';
import { withQuickRetries } from '../../src/handler/quick-retries.ts';
import { ConcurrencyError, NonRetryableError, UnavailableError } from '../../src/runtime/errors.ts';
import { createManualClock } from '../support/manual-clock.ts';

const quick = { maxRetries: 2, baseMs: 10, maxMs: 100, growth: 'exponential' } as const;
const both: QuickRetries = { versionRetry: quick, transientRetry: { ...quick, exceptions: ['TimeoutError', '55P03'] } };
const done: Outcome = { kind: 'done', effect: 'ok', value: null };
const failed = (error: Error): Outcome => ({ kind: 'failed', error });
const conflict = failed(new ConcurrencyError('the order has changed'));
const named = (name: string) => failed(Object.assign(new Error('no'), { name }));
const coded = (code: string) => failed(Object.assign(new Error('no'), { code }));

/** Calls with these outcomes, one after the other: the last one, and when each call took place. */
async function called(outcomes: readonly Outcome[], rules: QuickRetries = both, hard = new AbortController().signal) {
  const clock = createManualClock();
  const at: number[] = [];
  const call = async () => {
    at.push(clock.now());
    return outcomes[at.length - 1] ?? assert.fail('called once more');
  };
  const calling = withQuickRetries(call, rules, { clock, random: () => 0.5, hard });
  await clock.advance(1_000);
  return { outcome: await calling, at };
}

describe('quick retries inside one attempt', () => {
  it('are none where the handler succeeds', async () => {
    assert.deepEqual(await called([done]), { outcome: done, at: [0] });
  });

  it('of a conflict go on until it is over, each after a longer wait', async () => {
    assert.deepEqual(await called([conflict, conflict, done]), { outcome: done, at: [0, 10, 30] });
  });

  it('of a conflict end with the last try', async () => {
    assert.deepEqual(await called([conflict, conflict, conflict]), { outcome: conflict, at: [0, 10, 30] });
  });

  it('wait as their growth says, and never longer than they may', async () => {
    const waits = async (growth: 'linear' | 'fixed' | 'exponential', maxMs: number) => {
      const rules = { ...both, versionRetry: { maxRetries: 3, baseMs: 10, maxMs, growth } };
      return (await called([conflict, conflict, conflict, conflict], rules)).at;
    };
    assert.deepEqual(await waits('linear', 100), [0, 10, 30, 60]);
    assert.deepEqual(await waits('fixed', 100), [0, 10, 20, 30]);
    assert.deepEqual(await waits('exponential', 15), [0, 10, 25, 40]);
  });

  it('take a transaction that lost against another for a conflict', async () => {
    for (const code of ['40001', '40P01']) assert.equal((await called([coded(code), done])).outcome, done);
  });

  it('are made of the errors that are named, by class or code', async () => {
    for (const transient of [named('TimeoutError'), coded('55P03')]) {
      assert.equal((await called([transient, done])).outcome, done);
    }
  });

  it('count the two kinds apart', async () => {
    const outcomes = [conflict, conflict, coded('55P03'), coded('55P03'), done];
    assert.equal((await called(outcomes)).outcome, done);
  });

  it('are not made of other failures, nor of an outage', async () => {
    const unavailable: Outcome = { kind: 'unavailable', error: new UnavailableError('database_unreachable', 'gone') };
    for (const outcome of [failed(new Error('no')), failed(new NonRetryableError('no')), unavailable]) {
      assert.deepEqual(await called([outcome]), { outcome, at: [0] });
    }
  });

  it('are none where they are switched off', async () => {
    const off = { versionRetry: null, transientRetry: null };
    for (const outcome of [conflict, coded('55P03')])
      assert.deepEqual(await called([outcome], off), { outcome, at: [0] });
  });

  it('end with the hard stop', async () => {
    const hard = AbortSignal.abort();
    assert.deepEqual(await called([conflict], both, hard), { outcome: conflict, at: [0] });
  });
});
