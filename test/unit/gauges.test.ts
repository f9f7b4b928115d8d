import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { collectGauges } from '../../src/telemetry/monitor.ts';
import { createManualClock } from '../support/manual-clock.ts';

describe('The gauges', () => {
  it('reject as one where several stores are away, so that the process lives on', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const clock = createManualClock();
    const domain = { name: 'Bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' };
    const outbox = createMemoryOutbox(
      { database: 'default', domain, ordering: 'stream', maxMessageBytes: 4_000 },
      { clock, random: () => 0.5, emit: () => undefined, onAdded: () => undefined },
    );
    // Answers last, while the others have failed already.
    const slow = {
      ...outbox,
      stats: () => clock.sleep(100, new AbortController().signal).then(() => outbox.stats(null)),
    };
    const away = async () => {
      throw new UnavailableError('away', 'the broker is away');
    };
    const watched = {
      databases: [],
      brokers: [],
      eventStore: null,
      outboxes: [{ store: slow, broker: 'default', target: null }],
      subscriptions: [
        { handler: 'Billing', group: 'billing', streams: ['order'], broker: { inspect: away, length: away } },
      ],
    };
    const gauges = assert.rejects(collectGauges(watched), UnavailableError);
    await clock.advance(200);
    await gauges;
    process.off('unhandledRejection', note);
    assert.deepEqual(unhandled, []);
  });
});
