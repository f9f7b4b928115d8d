import { createMemoryIdempotency } from '../../src/handler/memory-idempotency.ts';
import { describeIdempotency } from '../conformance/idempotency.conformance.ts';
import { createManualClock } from '../support/manual-clock.ts';

const clock = createManualClock();

describeIdempotency('a process', () => ({
  open: async (times) => createMemoryIdempotency(times, { clock }),
  pass: (ms) => clock.advance(ms),
  purges: true,
}));
