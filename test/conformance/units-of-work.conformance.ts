import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Raised } from '../../src/handler/raised.ts';
import type { Occasion, UnitOfWork, UnitsOfWork } from '../../src/handler/unit-of-work.ts';
import { ClosedError, DuplicateError } from '../../src/handler/unit-of-work.ts';
import { ConcurrencyError } from '../../src/runtime/errors.ts';

/** A database made for one run of the suite. */
export interface UnitsOfWorkUnderTest {
  readonly unitsOfWork: UnitsOfWork;
  /** On the same database, without an outbox. */
  readonly withoutOutbox: UnitsOfWork;
  /** What is in the outbox, in its order: name and payload. */
  outbox(): Promise<readonly { readonly name: string; readonly data: unknown }[]>;
  close(): Promise<void>;
}

let serial = 0;
/** A message that was never handled, for a handler named Test. */
export const anOccasion = (about: Partial<Occasion> = {}): Occasion => {
  serial += 1;
  return { handler: 'Test', messageId: `bookshelf::order-${serial}-0.1`, kind: 'EVENT', entryId: '1-0', ...about };
};

export const anEvent = (name: string, data: object = {}): Raised => ({
  kind: 'EVENT',
  name,
  category: 'bookshelf::order',
  id: 'ord-1',
  dataText: JSON.stringify(data),
  options: { correlation_id: 'c-1', causation_id: 'm-1' },
});

/** What every unit of work promises. An adapter passes this suite before it is offered in domain.toml. */
export function unitsOfWorkConformance(name: string, create: () => Promise<UnitsOfWorkUnderTest>): void {
  describe(`a unit of work on ${name}`, () => {
    let database: UnitsOfWorkUnderTest;
    before(async () => {
      database = await create();
    });
    after(() => database.close());

    const begin = (occasion = anOccasion()): UnitOfWork => database.unitsOfWork.begin(occasion);
    const committed = async <T>(act: (work: UnitOfWork) => T, occasion?: Occasion): Promise<Awaited<T>> => {
      const work = begin(occasion);
      const result = await act(work);
      assert.equal(await work.commit(), 'committed');
      return result;
    };
    const read = (collection: string, id: string) => committed((work) => work.store(collection).get(id));

    it('that was not used leaves no trace: the message may be handled still', async () => {
      const occasion = anOccasion();
      assert.equal(await begin(occasion).commit(), 'untouched');
      await committed((work) => work.store('traces').put('a', {}), occasion);
    });

    it('writes all of it at its commit and nothing before', async () => {
      const work = begin();
      await work.store('all').put('a', { n: 1 });
      await work.store('all').put('b', { n: 2 });
      const other = begin();
      assert.deepEqual(await other.store('all').list(), []);
      await other.rollback();
      await work.commit();
      assert.deepEqual(await committed((reader) => reader.store('all').list()), [
        { id: 'a', value: { n: 1 } },
        { id: 'b', value: { n: 2 } },
      ]);
    });

    it('that is rolled back leaves no trace: the message may be handled still', async () => {
      const occasion = anOccasion();
      const work = begin(occasion);
      await work.store('undone').put('a', {});
      work.add(anEvent('Undone'));
      await work.rollback();
      assert.equal(await read('undone', 'a'), null);
      assert.ok(!(await database.outbox()).some((row) => row.name === 'Undone'));
      await committed((again) => again.store('undone').put('a', {}), occasion);
    });

    it('reads its own writes', async () => {
      await committed((work) => work.store('own').put('old', { n: 1 }));
      await committed(async (work) => {
        const store = work.store('own');
        await store.put('new', { n: 2 });
        await store.delete('old');
        assert.deepEqual(await store.get('new'), { n: 2 });
        assert.equal(await store.get('old'), null);
        assert.deepEqual(await store.list(), [{ id: 'new', value: { n: 2 } }]);
      });
    });

    it('replaces a document and deletes it', async () => {
      await committed((work) => work.store('docs').put('a', { n: 1, more: true }));
      await committed((work) => work.store('docs').put('a', { n: 2 }));
      assert.deepEqual(await read('docs', 'a'), { n: 2 });
      await committed((work) => work.store('docs').delete('a'));
      assert.equal(await read('docs', 'a'), null);
      await committed((work) => work.store('docs').delete('a'));
    });

    it('keeps a document as JSON says it, apart from the object that was put', async () => {
      const value = { text: 'ü "\\u0000" 🙂', none: null, list: [1, 2.5, { deep: true }], __proto__: { x: 1 } };
      await committed(async (work) => {
        const put = work.store('json').put('a', value);
        value.list.push(3);
        await put;
        const read = (await work.store('json').get('a')) as { list: unknown[] };
        read.list.push(4);
      });
      assert.deepEqual(await read('json', 'a'), { text: value.text, none: null, list: [1, 2.5, { deep: true }] });
    });

    it('lists documents in the order of their ids, byte by byte', async () => {
      const ids = ['b', 'a', 'Z', 'ä', '10', '9', '🙂', '\uFB01'];
      await committed(async (work) => {
        for (const id of ids) await work.store('sorted').put(id, {});
      });
      const listed = await committed((work) => work.store('sorted').list());
      assert.deepEqual(
        listed.map(({ id }) => id),
        ['10', '9', 'Z', 'a', 'b', 'ä', '\uFB01', '🙂'],
      );
    });

    it('refuses what cannot be a document, an id or a collection', async () => {
      const work = begin();
      const { put } = work.store('refused');
      await assert.rejects(put('a', [] as never), { name: 'TypeError', message: /a document is an object/ });
      await assert.rejects(put('', {}), { name: 'TypeError', message: /an id is a text/ });
      await assert.rejects(put('a', { text: 'a\u0000b' }), { name: 'TypeError', message: /U\+0000/ });
      assert.throws(() => work.store('drop table'), { name: 'TypeError', message: /a collection is named/ });
      await work.rollback();
    });

    it('of a message that was handled before does nothing more', async () => {
      const occasion = anOccasion();
      await committed((work) => work.store('once').put('a', { n: 1 }), occasion);
      const again = begin(occasion);
      await assert.rejects(again.store('once').put('a', { n: 2 }), DuplicateError);
      await assert.rejects(again.store('once').get('a'), DuplicateError);
      assert.equal(again.state, 'duplicate');
      assert.equal(await again.commit(), 'duplicate');
      assert.deepEqual(await read('once', 'a'), { n: 1 });
    });

    it('of a message that was handled before raises nothing more', async () => {
      const occasion = anOccasion();
      await committed((work) => work.add(anEvent('RaisedOnce')), occasion);
      const again = begin(occasion);
      const adding = async () => again.add(anEvent('RaisedOnce'));
      await adding().catch((error) => assert.ok(error instanceof DuplicateError));
      assert.equal(await again.commit(), 'duplicate');
      assert.equal((await database.outbox()).filter((row) => row.name === 'RaisedOnce').length, 1);
    });

    it('keeps each handler’s own account of a message', async () => {
      const occasion = anOccasion();
      await committed((work) => work.store('accounts').put('a', {}), occasion);
      await committed((work) => work.store('accounts').put('b', {}), { ...occasion, handler: 'Other' });
    });

    it('tells commands apart by their entry where their ids may repeat', async () => {
      const occasion = anOccasion({ kind: 'COMMAND', messageId: `customer-${serial}` });
      await committed((work) => work.store('commands').put('a', {}), occasion);
      await committed((work) => work.store('commands').put('b', {}), { ...occasion, entryId: '2-0' });
      await assert.rejects(begin(occasion).store('commands').get('a'), DuplicateError);
    });

    it('knows a command by its id where this side made it, whatever its entry', async () => {
      const messageId = `01890a5d-ac96-8${String(serial).padStart(3, '0')}-8abc-0123456789ab`;
      const occasion = anOccasion({ kind: 'COMMAND', messageId });
      await committed((work) => work.store('commands').put('a', {}), occasion);
      await assert.rejects(
        begin({ ...occasion, entryId: '2-0' })
          .store('commands')
          .get('a'),
        DuplicateError,
      );
    });

    it('puts what is raised into the outbox, in the order of the calls', async () => {
      await committed((work) => {
        for (const n of [1, 2, 3]) work.add(anEvent('Counted', { n }));
        work.add({ ...anEvent('CountMore'), kind: 'COMMAND', id: null });
      });
      const rows = (await database.outbox()).filter((row) => /^Count/.test(row.name));
      assert.deepEqual(rows, [
        { name: 'Counted', data: { n: 1 } },
        { name: 'Counted', data: { n: 2 } },
        { name: 'Counted', data: { n: 3 } },
        { name: 'CountMore', data: {} },
      ]);
    });

    it('says that raising needs an outbox where there is none', async () => {
      const work = database.withoutOutbox.begin(anOccasion());
      assert.throws(() => work.add(anEvent('Nowhere')), { code: 'no_outbox', message: /enable_outbox = true/ });
      await work.rollback();
    });

    it('takes effect once when two have the same message at once', async () => {
      const occasion = anOccasion();
      const increment = async (): Promise<string> => {
        const work = begin(occasion);
        try {
          const { n } = ((await work.store('twins').get('a')) ?? { n: 0 }) as { n: number };
          await work.store('twins').put('a', { n: n + 1 });
          return await work.commit();
        } catch (error) {
          assert.ok(error instanceof DuplicateError, String(error));
          await work.rollback();
          return 'duplicate';
        }
      };
      assert.deepEqual((await Promise.all([increment(), increment()])).sort(), ['committed', 'duplicate']);
      assert.deepEqual(await read('twins', 'a'), { n: 1 });
    });

    it('takes effect once when two have the same message at once and neither knew of the other before its commit', async () => {
      const occasion = anOccasion();
      const [one, other] = [begin(occasion), begin(occasion)];
      for (const work of [one, other]) work.add(anEvent('RaisedByTwins'));
      const outcomes = await Promise.all([one.commit(), other.commit()]);
      assert.deepEqual(outcomes.sort(), ['committed', 'duplicate']);
      assert.equal((await database.outbox()).filter((row) => row.name === 'RaisedByTwins').length, 1);
    });

    it('loses no change of a document that many read, change and write back at once', async () => {
      const increment = () =>
        committed(async (work) => {
          const { n } = ((await work.store('counters').get('a')) ?? { n: 0 }) as { n: number };
          await work.store('counters').put('a', { n: n + 1 });
        });
      await Promise.all(Array.from({ length: 20 }, increment));
      assert.deepEqual(await read('counters', 'a'), { n: 20 });
    });

    it('does not wait for ever where two want each other’s documents: one of them fails', async () => {
      const [one, other] = [begin(), begin()];
      await one.store('circle').get('a');
      await other.store('circle').get('b');
      const crossing = async (work: UnitOfWork, id: string) => {
        try {
          await work.store('circle').put(id, {});
          return await work.commit();
        } catch (error) {
          await work.rollback();
          return error;
        }
      };
      const outcomes = await Promise.all([crossing(one, 'b'), crossing(other, 'a')]);
      assert.ok(outcomes.includes('committed'), String(outcomes));
      assert.ok(
        outcomes.some((outcome) => outcome instanceof ConcurrencyError),
        String(outcomes),
      );
    });

    it('lets go of what others wait for when it is rolled back', async () => {
      const [holder, waiting] = [begin(), begin()];
      await holder.store('held').put('a', { n: 1 });
      const reading = waiting.store('held').get('a');
      await holder.rollback();
      assert.equal(await reading, null);
      await waiting.rollback();
    });

    it('does nothing more after its end', async () => {
      const ended = begin();
      await ended.store('ended').put('a', {});
      await ended.commit();
      const undone = begin();
      await undone.rollback();
      for (const work of [ended, undone]) {
        await assert.rejects(work.store('ended').put('a', { late: true }), ClosedError);
        assert.throws(() => work.add(anEvent('Late')), ClosedError);
        await assert.rejects(work.commit(), ClosedError);
        await work.rollback();
      }
      assert.deepEqual(await read('ended', 'a'), {});
    });
  });
}
