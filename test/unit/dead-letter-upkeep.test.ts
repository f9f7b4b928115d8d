import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createInlineBroker } from '../../src/broker/inline-broker.ts';
import { UnavailableError } from '../../src/runtime/errors.ts';
import { createDeadLetterUpkeep } from '../../src/subscription/dead-letter-upkeep.ts';
import { createEvents, loopOptionsOn } from '../support/events.ts';
import { createManualClock } from '../support/manual-clock.ts';

const stream = 'bookshelf::order:dlq';
const hour = 3_600_000;

function given(alertThreshold = 3) {
  const clock = createManualClock();
  const events = createEvents();
  const inline = createInlineBroker({ name: 'default' }, { clock });
  const stop = new AbortController();
  let away = false;
  const broker = {
    ...inline,
    expire: (...asked: Parameters<typeof inline.expire>) =>
      away ? Promise.reject(new UnavailableError('redis_unreachable', 'away')) : inline.expire(...asked),
  };
  const service = createDeadLetterUpkeep(
    { enabled: true, retentionMs: 2 * hour, alertThreshold, checkEveryMs: 60_000 },
    {
      streams: async () => [{ broker, stream }],
      emit: events.emit,
      loop: loopOptionsOn(clock, events)('dead-letters'),
    },
  );
  const running = service.run({ soft: stop.signal, hard: stop.signal });
  return {
    clock,
    events,
    outage: (is: boolean) => {
      away = is;
    },
    add: (count: number) =>
      inline.publish(Array.from({ length: count }, (_, index) => ({ stream, body: String(index), key: null }))),
    length: () => inline.length(stream),
    async stop() {
      stop.abort();
      await clock.advance(10);
      await running;
    },
  };
}

describe('the upkeep of dead letters', () => {
  it('deletes what has been kept long enough, and nothing younger', async () => {
    const { clock, events, add, length, stop } = given();
    await add(2);
    await clock.advance(hour);
    await add(1);
    await clock.advance(hour - 120_000);
    assert.equal(await length(), 3);
    await clock.advance(180_000);
    assert.equal(await length(), 1);
    assert.deepEqual(
      events.of('dead_letters.expired').map(({ count }) => count),
      [2],
    );
    await clock.advance(hour);
    assert.equal(await length(), 0);
    await stop();
  });

  it('tells once that a stream has as many as the threshold, and again only after it had fewer', async () => {
    const { clock, events, add, stop } = given();
    const said = () => [
      events.of('dead_letters.above_threshold').map(({ count }) => count),
      events.of('dead_letters.below_threshold').map(({ count }) => count),
    ];
    await add(2);
    await clock.advance(61_000);
    assert.deepEqual(said(), [[], []]);
    await add(1);
    await clock.advance(61_000);
    await add(5);
    await clock.advance(10 * 60_000);
    assert.deepEqual(said(), [[3], []]);
    await clock.advance(2 * hour);
    assert.deepEqual(said(), [[3], [0]]);
    await add(4);
    await clock.advance(61_000);
    assert.deepEqual(said(), [[3, 4], [0]]);
    await stop();
  });

  it('goes on where it was after an outage, without taking it for an empty stream', async () => {
    const { clock, events, add, outage, stop } = given();
    await add(3);
    await clock.advance(61_000);
    outage(true);
    await clock.advance(300_000);
    outage(false);
    await clock.advance(300_000);
    assert.equal(events.count('dead_letters.above_threshold'), 1);
    assert.equal(events.count('dead_letters.below_threshold'), 0);
    await stop();
  });
});
