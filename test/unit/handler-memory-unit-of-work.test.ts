import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryDatabase, createMemoryUnitsOfWork } from '../../src/handler/memory-unit-of-work.ts';
import type { Raised } from '../../src/handler/raised.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';
import { bookshelfConformance } from '../conformance/bookshelf.conformance.ts';
import type { UnitsOfWorkUnderTest } from '../conformance/units-of-work.conformance.ts';
import { anOccasion, unitsOfWorkConformance } from '../conformance/units-of-work.conformance.ts';

async function givenMemory(): Promise<UnitsOfWorkUnderTest> {
  const outbox: Raised[] = [];
  const database = createMemoryDatabase('default', (raised) => void outbox.push(...raised));
  return {
    unitsOfWork: createMemoryUnitsOfWork(database),
    withoutOutbox: createMemoryUnitsOfWork({ ...database, onRaised: null }),
    outbox: async () => outbox.map(({ name, dataText }) => ({ name, data: JSON.parse(dataText) as unknown })),
    close: async () => undefined,
  };
}

unitsOfWorkConformance('memory', givenMemory);
bookshelfConformance('memory', givenMemory);

describe('a database in memory', () => {
  it('has no SQL, and says what there is instead', () => {
    const work = createMemoryUnitsOfWork(createMemoryDatabase('default', null)).begin(anOccasion());
    assert.throws(
      () => work.sql,
      (error) =>
        error instanceof MisconfiguredError && /provider postgresql.*ctx\.store works on both/.test(error.message),
    );
  });

  it('remembers the last fifty thousand messages, and not all of them for ever', async () => {
    const database = createMemoryDatabase('default', null);
    for (let n = 0; n < 150_000; n += 1) database.inbox.add(`${n}`);
    assert.ok(database.inbox.has('149999') && database.inbox.has('100000'));
    assert.ok(!database.inbox.has('0'));
  });
});
