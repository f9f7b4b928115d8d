import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RetryConfig } from '../../src/config/config.ts';
import type { RetryRule } from '../../src/config/retry-config.ts';
import {
  CrashLoopError,
  DecodeError,
  HandlerTimeoutError,
  NonRetryableError,
  RetryAfterError,
  UnavailableError,
} from '../../src/runtime/errors.ts';
import { decide } from '../../src/subscription/disposition.ts';

const retry: RetryConfig = {
  maxAttempts: 3,
  maxCrashes: 3,
  backoff: { baseMs: 100, factor: 2, maxMs: 150, jitter: 0 },
  onExhausted: 'dead_letter',
  rules: new Map(),
};
const failed = (error: Error) => ({ kind: 'failed', error }) as const;
const fate = (outcome: Parameters<typeof decide>[0], attempt: number, policy = retry) => {
  const disposition = decide(outcome, attempt, 1, policy, () => 0.5);
  return 'inMs' in disposition ? `${disposition.kind} in ${disposition.inMs} ms` : disposition.kind;
};

/** As thrown by a module that has its own copy of the package. */
class ForeignError extends Error {
  override name = 'NonRetryableError';
}

describe('the fate of a delivery', () => {
  const cases = [
    ['a handler that returns', { kind: 'done', effect: 'ok', value: null }, 1, 'ack'],
    ['a first failure', failed(new Error()), 1, 'retry in 100 ms'],
    ['a second failure, capped', failed(new Error()), 2, 'retry in 150 ms'],
    ['the last allowed failure', failed(new Error()), 3, 'dead_letter'],
    ['a NonRetryableError on the first attempt', failed(new NonRetryableError('no')), 1, 'dead_letter'],
    ["another copy's NonRetryableError", failed(new ForeignError()), 1, 'dead_letter'],
    ['a malformed body', failed(new DecodeError('invalid_json', 'no')), 1, 'dead_letter'],
    ['a crash loop', failed(new CrashLoopError('no')), 1, 'dead_letter'],
    ['a RetryAfterError', failed(new RetryAfterError('later', 5_000)), 1, 'retry in 5000 ms'],
    ['a RetryAfterError that asks for nonsense', failed(new RetryAfterError('later', -1)), 1, 'retry in 100 ms'],
    ['a RetryAfterError on the last attempt', failed(new RetryAfterError('later', 5_000)), 3, 'dead_letter'],
    [
      'a database away, on any attempt',
      { kind: 'unavailable', error: new UnavailableError('x', 'away') },
      3,
      'postpone in 500 ms',
    ],
  ] as const;
  for (const [when, outcome, attempt, then] of cases) {
    it(`is for ${when}: ${then}`, () => assert.equal(fate(outcome, attempt), then));
  }

  it('follows the policy when the attempts are used up', () => {
    assert.equal(fate(failed(new Error()), 3, { ...retry, onExhausted: 'halt' }), 'halt');
    assert.equal(fate(failed(new Error()), 3, { ...retry, onExhausted: 'discard' }), 'discard');
  });
});

class PaymentError extends Error {}
class CardDeclinedError extends PaymentError {}
class LimitError extends PaymentError {
  readonly code = 'over_limit';
}

/** Asks for nothing but what it states. */
const rule = (stated: Partial<RetryRule>): RetryRule => ({
  maxAttempts: null,
  delayMs: null,
  factor: null,
  maxDelayMs: null,
  action: 'retry',
  ...stated,
});

describe('[server.retry.<name>]', () => {
  const policy: RetryConfig = {
    ...retry,
    rules: new Map([
      ['PaymentError', rule({ maxAttempts: 5, delayMs: 1_000, factor: 10, maxDelayMs: 60_000 })],
      ['CardDeclinedError', rule({ action: 'dead_letter' })],
      ['over_limit', rule({ action: 'discard' })],
      ['HandlerTimeoutError', rule({ maxAttempts: 1 })],
      ['DecodeError', rule({ action: 'discard' })],
      ['RetryAfterError', rule({ maxAttempts: 9, delayMs: 1 })],
    ]),
  };
  const cases = [
    ['an error of the class, with its own delay', new PaymentError(), 1, 'retry in 1000 ms'],
    ['its second failure, with its own growth', new PaymentError(), 2, 'retry in 10000 ms'],
    ['a later one, with its own longest wait', new PaymentError(), 4, 'retry in 60000 ms'],
    ['its last allowed failure', new PaymentError(), 5, 'dead_letter'],
    ['an error of a class below it that has its own rule', new CardDeclinedError(), 1, 'dead_letter'],
    ['an error with a code that has a rule, before its class', new LimitError(), 1, 'discard'],
    ['a timeout that may happen once', new HandlerTimeoutError('late'), 1, 'dead_letter'],
    ['a body that cannot be read', new DecodeError('invalid_json', 'no'), 1, 'discard'],
    ['an error that names its own wait', new RetryAfterError('later', 5_000), 8, 'retry in 5000 ms'],
    ['any other error, by the policy', new TypeError(), 2, 'retry in 150 ms'],
  ] as const;
  for (const [when, error, attempt, then] of cases) {
    it(`means for ${when}: ${then}`, () => assert.equal(fate(failed(error), attempt, policy), then));
  }

  it('says nothing about a database that is away', () => {
    const away = { kind: 'unavailable', error: new UnavailableError('over_limit', 'away') } as const;
    assert.equal(fate(away, 9, policy), 'postpone in 500 ms');
  });
});
