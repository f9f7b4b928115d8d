import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';
import { createManualClock } from '../../src/runtime/manual-clock.ts';
import { reach } from '../../src/runtime/reach.ts';

const never = new AbortController().signal;
const away = () => Promise.reject(new UnavailableError('away', 'connection refused'));

describe('what is needed at the start', () => {
  it('is waited for until it answers', async () => {
    const clock = createManualClock();
    let asked = 0;
    const reached = reach(async () => (++asked < 4 ? away() : undefined), 60_000, clock, never);
    await clock.advance(5_000);
    await reached;
    assert.equal(asked, 4);
  });

  it('is given up when the time is over', async () => {
    const clock = createManualClock();
    const reached = assert.rejects(reach(away, 10_000, clock, never), UnavailableError);
    await clock.advance(10_000);
    await reached;
  });

  it('is not waited for where waiting does not mend it', async () => {
    const clock = createManualClock();
    const missing = () => Promise.reject(new MisconfiguredError('table_missing', 'run `domaind db setup`'));
    await assert.rejects(reach(missing, 60_000, clock, never), MisconfiguredError);
  });
});
