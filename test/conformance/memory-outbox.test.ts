import { createMemoryLeases } from '../../src/outbox/memory-lease.ts';
import { createMemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { leaseConformance } from './lease.conformance.ts';
import { outboxConformance } from './outbox.conformance.ts';

leaseConformance('memory', async () => {
  const clock = createManualClock(1_000_000);
  return { leases: createMemoryLeases(clock), pass: (ms) => clock.advance(ms), close: async () => undefined };
});

outboxConformance('memory', {
  keepsPublished: false,
  close: async () => undefined,
  async create({ ordering, shards }) {
    const clock = createManualClock(Date.now());
    const domain = { name: 'Bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' };
    const store = createMemoryOutbox(
      { database: 'default', domain, ordering, shards, maxMessageBytes: 4_000, externalBrokers: ['partner'] },
      { clock, random: Math.random, emit: () => undefined, onAdded: () => undefined },
    );
    return { store, add: async (...messages) => store.add(messages), pass: (ms) => clock.advance(ms) };
  },
});
