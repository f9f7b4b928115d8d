import { createMemoryPositions } from '../../src/event-store/memory-positions.ts';
import { positionsConformance } from './positions.conformance.ts';

positionsConformance('memory', async () => {
  const positions = createMemoryPositions();
  return {
    positions,
    record: (subscription, token, receipt) => positions.record(null, subscription, token, receipt),
    reset: (subscription, token, position) => positions.reset(null, subscription, token, position),
    close: async () => undefined,
  };
});
