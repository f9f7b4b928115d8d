import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { EventStore } from '../../src/event-store/event-store.ts';
import { everything } from '../../src/event-store/event-store.ts';
import { bodyOf } from '../../src/event-store/stored-message.ts';
import type { Append, AppendedMessage } from '../../src/message/append.ts';
import { decode } from '../../src/message/codec.ts';
import { ConcurrencyError } from '../../src/runtime/errors.ts';
import { until } from '../support/until.ts';

/** Appends whose transaction is still open. */
export interface OpenTransaction {
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** A store made for one run of the suite. */
export interface EventStoreUnderTest {
  readonly store: EventStore;
  /** Writes past the store's own functions, where it has others. */
  begin(appends: readonly Append[]): Promise<OpenTransaction>;
  close(): Promise<void>;
}

interface MessageChanges extends Partial<AppendedMessage> {
  readonly correlation?: string;
  readonly origin?: string;
}

export function aMessage({ correlation, origin, ...more }: MessageChanges = {}): AppendedMessage {
  const metadata = {
    headers: { id: 'told', type: 'Bookshelf.OrderPlaced.v1', stream: 'told', time: null },
    envelope: { specversion: '1.0', checksum: null },
    domain: { kind: 'EVENT', correlation_id: correlation ?? null, origin_stream: origin ?? null, version: 1 },
    event_store: null,
    extensions: {},
  };
  return {
    id: randomUUID(),
    type: 'Bookshelf.OrderPlaced.v1',
    dataText: '{"n": 1}',
    metadataText: JSON.stringify(metadata),
    numbered: false,
    ...more,
  };
}

export const anAppend = (stream: string, count = 1, more: Partial<Append> = {}): Append => ({
  stream,
  expectedVersion: null,
  messages: Array.from({ length: count }, () => aMessage()),
  ...more,
});

/** What every event store promises. */
export function eventStoreConformance(name: string, create: () => Promise<EventStoreUnderTest>): void {
  describe(`the event store in ${name}`, () => {
    let under: EventStoreUnderTest;
    let store: EventStore;
    let serial = 0;
    before(async () => {
      under = await create();
      store = under.store;
    });
    after(() => under.close());
    const aCategory = () => `bookshelf::order_${serial++}`;
    const positionsIn = async (stream: string) =>
      (await store.readStream(stream, 0, 100)).map(({ position }) => position);

    it('is found, and found sound', async () => {
      await store.ping();
      await store.check();
    });

    it('numbers the messages of a stream from 0', async () => {
      const stream = `${aCategory()}-1`;
      assert.deepEqual(await store.append([anAppend(stream, 2)]), [1]);
      assert.deepEqual(await store.append([anAppend(stream)]), [2]);
      assert.deepEqual(await positionsIn(stream), [0, 1, 2]);
    });

    it('gives back what it was given', async () => {
      const stream = `${aCategory()}-é 1`;
      const message = aMessage({ dataText: '{"text": "ü\\"\\\\{},\\nNULL", "n": [1.5, null, true]}' });
      await store.append([anAppend(stream, 1, { messages: [message] })]);
      const [stored] = await store.readStream(stream, 0, 10);
      assert.equal(stored?.id, message.id);
      assert.equal(stored.stream, stream);
      assert.equal(stored.type, message.type);
      assert.deepEqual(JSON.parse(stored.dataText), JSON.parse(message.dataText));
      assert.deepEqual(JSON.parse(stored.metadataText ?? ''), JSON.parse(message.metadataText ?? ''));
      assert.match(stored.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
      assert.ok(Math.abs(Date.parse(stored.time) - Date.now()) < 600_000, stored.time);
    });

    it('keeps messages without metadata', async () => {
      const stream = `${aCategory()}:snapshot-1`;
      await store.append([anAppend(stream, 1, { messages: [aMessage({ type: 'SNAPSHOT', metadataText: null })] })]);
      const stored = await store.lastMessage(stream);
      assert.equal(stored?.metadataText, null);
      assert.equal(bodyOf(stored), null);
    });

    it('numbers events of event-sourced aggregates by their place', async () => {
      const stream = `${aCategory()}-1`;
      const numbered = () => aMessage({ numbered: true });
      await store.append([anAppend(stream, 1, { messages: [numbered(), numbered()] })]);
      await store.append([anAppend(stream, 1, { messages: [numbered()] })]);
      const messages = await store.readStream(stream, 0, 10);
      const decoded = messages.map((message) => decode(bodyOf(message) ?? ''));
      assert.deepEqual(
        decoded.map(({ id }) => id),
        [`${stream}-0`, `${stream}-1`, `${stream}-2`],
      );
      assert.deepEqual(
        decoded.map(({ metadata }) => metadata.domain.sequence_id),
        ['0', '1', '2'],
      );
      assert.deepEqual(
        decoded.map(({ metadata }) => metadata.domain.expected_version),
        [-1, 0, 1],
      );
      assert.deepEqual(decoded[2]?.metadata.event_store, {
        position: 2,
        global_position: Number(messages[2]?.globalPosition),
      });
    });

    it('appends at the expected version', async () => {
      const stream = `${aCategory()}-1`;
      assert.deepEqual(await store.append([anAppend(stream, 2, { expectedVersion: -1 })]), [1]);
      assert.deepEqual(await store.append([anAppend(stream, 1, { expectedVersion: 1 })]), [2]);
    });

    it('refuses to append at another version, and says which it is', async () => {
      const stream = `${aCategory()}-1`;
      await store.append([anAppend(stream, 2)]);
      for (const expectedVersion of [-1, 0, 2]) {
        const expected = {
          name: 'ConcurrencyError',
          code: 'concurrency',
          message: /is at 1, not at the expected version/,
        };
        await assert.rejects(store.append([anAppend(stream, 1, { expectedVersion })]), expected);
      }
      assert.deepEqual(await positionsIn(stream), [0, 1]);
    });

    it('lets one of many through that append at the same version', async () => {
      const stream = `${aCategory()}-1`;
      const tries = Array.from({ length: 8 }, () => store.append([anAppend(stream, 1, { expectedVersion: -1 })]));
      const ends = await Promise.allSettled(tries);
      assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1);
      for (const end of ends) if (end.status === 'rejected') assert.ok(end.reason instanceof ConcurrencyError);
      assert.deepEqual(await positionsIn(stream), [0]);
    });

    it('appends to several streams: all or nothing', async () => {
      const category = aCategory();
      const [one, other] = [`${category}-1`, `${category}-2`];
      assert.deepEqual(
        await store.append([anAppend(one, 2), anAppend(other), anAppend(`${aCategory()}-1`, 3)]),
        [1, 0, 2],
      );
      await assert.rejects(store.append([anAppend(one), anAppend(other, 1, { expectedVersion: 7 })]), ConcurrencyError);
      assert.deepEqual([await positionsIn(one), await positionsIn(other)], [[0, 1], [0]]);
    });

    it('appends a message once, however often that is tried', async () => {
      const stream = `${aCategory()}-1`;
      const append = anAppend(stream, 2, { expectedVersion: -1 });
      assert.deepEqual(await store.append([append]), [1]);
      assert.deepEqual(await store.append([append]), [1]);
      assert.deepEqual(await store.append([{ ...append, expectedVersion: null }]), [1]);
      assert.deepEqual(await positionsIn(stream), [0, 1]);
    });

    it('reads a stream from a position, up to a limit', async () => {
      const stream = `${aCategory()}-1`;
      await store.append([anAppend(stream, 5)]);
      const read = async (from: number, limit: number) =>
        (await store.readStream(stream, from, limit)).map(({ position }) => position);
      assert.deepEqual(await read(2, 2), [2, 3]);
      assert.deepEqual(await read(4, 9), [4]);
      assert.deepEqual(await read(5, 9), []);
      assert.deepEqual(await store.readStream(`${aCategory()}-1`, 0, 9), []);
    });

    it('reads a category in the order of the store, from a position, up to a limit', async () => {
      const category = aCategory();
      for (const id of ['2', '1', '2-a']) await store.append([anAppend(`${category}-${id}`)]);
      await store.append([anAppend(`${category}:command-1`), anAppend(`${category}x-1`)]);
      const all = await store.readCategory(category, 1n, 100);
      assert.deepEqual(
        all.map(({ stream }) => stream),
        [`${category}-2`, `${category}-1`, `${category}-2-a`],
      );
      const second = all[1]?.globalPosition ?? 0n;
      const rest = await store.readCategory(category, second, 1);
      assert.deepEqual(
        rest.map(({ globalPosition }) => globalPosition),
        [second],
      );
      assert.deepEqual(await store.readCategory(category, (all[2]?.globalPosition ?? 0n) + 1n, 9), []);
      assert.deepEqual((await store.readCategory(`${category}:command`, 0n, 9)).length, 1);
    });

    it('reads everything, and backwards', async () => {
      const category = aCategory();
      const before = await store.head(everything);
      await store.append([anAppend(`${category}-1`), anAppend(`${aCategory()}-1`), anAppend(`${category}-2`)]);
      const all = await store.readCategory(everything, before + 1n, 100);
      assert.equal(all.length, 3);
      assert.deepEqual(await store.readBackwards(everything, null, 3), all.toReversed());
      assert.deepEqual(await store.readBackwards(category, all[2]?.globalPosition ?? 0n, 9), [all[0]]);
      assert.equal(await store.head(everything), all[2]?.globalPosition);
      assert.equal(await store.head(category), all[2]?.globalPosition);
      assert.equal(await store.head(aCategory()), 0n);
    });

    it('reads many messages as one text', async () => {
      const category = aCategory();
      const before = await store.head(everything);
      assert.equal(await store.readJson(category, before + 1n, 10), '[]');
      await store.append([anAppend(`${category}-"1"`, 2), anAppend(`${aCategory()}-1`), anAppend(`${category}-2`)]);
      for (const [place, count] of [
        [category, 3],
        [everything, 4],
      ] as const) {
        const messages = await store.readCategory(place, before + 1n, 10);
        assert.equal(messages.length, count);
        assert.deepEqual(
          JSON.parse(await store.readJson(place, before + 1n, 10)),
          messages.map(({ stream, position, globalPosition, dataText, metadataText }) => ({
            stream,
            position,
            at: String(globalPosition),
            data: JSON.parse(dataText),
            metadata: JSON.parse(metadataText ?? 'null'),
          })),
        );
        assert.equal((JSON.parse(await store.readJson(place, before + 1n, 2)) as readonly object[]).length, 2);
      }
    });

    it('tells how much there is beyond a position, and since when', async () => {
      const category = aCategory();
      const before = await store.head(everything);
      assert.deepEqual(await store.behind(category, before, 10), { count: 0, oldestMs: null });
      await store.append([
        anAppend(`${category}-1`, 3),
        anAppend(`position-${category}`),
        anAppend(`failed-${category}`),
      ]);
      const { count, oldestMs } = await store.behind(category, before, 10);
      assert.equal(count, 3);
      assert.ok(oldestMs !== null && oldestMs >= 0 && oldestMs < 60_000, String(oldestMs));
      assert.equal((await store.behind(category, before + 1n, 10)).count, 2);
      assert.equal((await store.behind(category, before, 2)).count, 2);
      assert.equal((await store.behind(everything, before, 10)).count, 3);
    });

    it('searches by correlation, origin and type', async () => {
      const category = aCategory();
      const messages = [
        aMessage({ correlation: 'c-1', origin: 'bookshelf::cart-1' }),
        aMessage({ correlation: 'c-1', type: 'Bookshelf.Other.v1' }),
        aMessage({ correlation: 'c-2' }),
        aMessage({ metadataText: null }),
      ];
      await store.append([anAppend(`${category}-1`, 1, { messages })]);
      const none = { correlationId: null, originStream: null, type: null };
      const found = async (filter: Partial<typeof none> | { [key: string]: string }) =>
        (await store.readCategory(category, 1n, 100, { ...none, ...filter })).map(({ position }) => position);
      assert.deepEqual(await found({ correlationId: 'c-1' }), [0, 1]);
      assert.deepEqual(await found({ originStream: 'bookshelf::cart-1' }), [0]);
      assert.deepEqual(await found({ type: 'Bookshelf.Other.v1', correlationId: 'c-1' }), [1]);
      assert.deepEqual(await found({}), [0, 1, 2, 3]);
    });

    it('knows the last message of a stream, and of a type', async () => {
      const stream = `${aCategory()}-1`;
      assert.equal(await store.lastMessage(stream), null);
      await store.append([anAppend(stream, 2), anAppend(stream, 1, { messages: [aMessage({ type: 'Other' })] })]);
      assert.equal((await store.lastMessage(stream))?.position, 2);
      assert.equal((await store.lastMessage(stream, 'Bookshelf.OrderPlaced.v1'))?.position, 1);
      assert.equal(await store.lastMessage(stream, 'None'), null);
    });

    it('is settled up to its head when nobody writes', async () => {
      await store.append([anAppend(`${aCategory()}-1`)]);
      assert.deepEqual(await store.horizon(everything), { head: await store.head(everything), writers: [] });
    });

    for (const end of ['commit', 'rollback'] as const) {
      it(`names the writer that a gap is of, until its ${end}`, async () => {
        const [slow, quick] = [`${aCategory()}-1`, `${aCategory()}-1`];
        const open = await under.begin([anAppend(slow)]);
        await store.append([anAppend(quick)]);
        const { head, writers } = await store.horizon(everything);
        assert.equal(head, (await store.lastMessage(quick))?.globalPosition);
        assert.equal(writers.length, 1);
        assert.deepEqual(
          (await store.running(writers)).map(({ id }) => id),
          writers.map(({ id }) => id),
        );
        assert.deepEqual(await store.readStream(slow, 0, 9), []);
        await open[end]();
        await until('the end of the writers', async () => ((await store.running(writers)).length === 0 ? true : null));
        const [late] = await store.readStream(slow, 0, 9);
        assert.equal(late !== undefined, end === 'commit');
        if (late !== undefined) assert.ok(late.globalPosition < head, 'it has appeared below what was read');
        assert.deepEqual((await store.horizon(everything)).writers, []);
      });
    }

    it('names those who write past its own order to a category too', async () => {
      const category = aCategory();
      const open = await under.begin([anAppend(`${category}-1`)]);
      assert.equal((await store.horizon(category)).writers.length, 1);
      await open.commit();
      assert.deepEqual((await store.horizon(category)).writers, []);
    });
  });
}
