import assert from 'node:assert/strict';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { describeBroker } from './broker.conformance.ts';

const capabilities = { groups: true, redelivery: true, deadLetters: true, persistence: false, partitions: true };

describeBroker({
  name: 'inline',
  capabilities,
  foreignEntries: false,
  start: async () => {
    const clock = createManualClock(1_700_000_000_000);
    return {
      broker: createInlineBroker({ name: 'inline' }, { clock }),
      age: (_stream, _group, ms) => clock.advance(ms),
      pass: (ms) => clock.advance(ms),
      append: async () => assert.fail('entries come only through publish'),
      end: async () => undefined,
    };
  },
});
