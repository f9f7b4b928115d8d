import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ReadRow } from '../../src/outbox/postgresql-due.ts';
import { createPlaces } from '../../src/outbox/postgresql-places.ts';

const row = (id: string, failing = false) => ({ id, failing }) as ReadRow;
const first = { limit: 500, inFlight: [] };
const further = { limit: 500, inFlight: ['1'] };

describe('the place where a read of a shard begins', () => {
  it('is behind the last row read, by number and not by text, while rows are in flight', () => {
    const places = createPlaces();
    assert.equal(places.next(first), '0');
    places.seen([row('9'), row('10')]);
    assert.equal(places.next(further), '10');
  });

  it('is the front when nothing is in flight', () => {
    const places = createPlaces();
    places.next(first);
    places.seen([row('9')]);
    assert.equal(places.next(first), '0');
  });

  it('is the front in any case every sixteenth time', () => {
    const places = createPlaces();
    const begun = Array.from({ length: 32 }, () => {
      places.seen([row('9')]);
      return places.next(further);
    });
    assert.deepEqual(
      begun.flatMap((after, index) => (after === '0' ? [index + 1] : [])),
      [16, 32],
    );
  });

  it('is the front while a row has failed, and goes on from what was read there afterwards', () => {
    const places = createPlaces();
    places.next(first);
    places.seen([row('100')]);
    assert.equal(places.next(further), '100');
    places.seen([row('200', true)]);
    assert.equal(places.next(further), '0');
    places.seen([row('50')]);
    assert.equal(places.next(further), '50');
  });
});
