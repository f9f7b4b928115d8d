import { createMemoryEventStore } from '../../src/event-store/memory-event-store.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { eventStoreConformance } from './event-store.conformance.ts';

eventStoreConformance('memory', async () => {
  const store = createMemoryEventStore({ clock: createManualClock(Date.now()) });
  return {
    store,
    async begin(appends) {
      const open = store.begin(appends);
      return { commit: async () => open.commit(), rollback: async () => open.rollback() };
    },
    close: async () => undefined,
  };
});
