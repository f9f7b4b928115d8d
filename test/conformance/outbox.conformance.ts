import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { composeBody, decode } from '../../src/message/codec.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import type { Outbox, OutboxRow, OutboxStore } from '../../src/outbox/outbox.ts';
import type { Failure } from '../../src/runtime/failure.ts';

/** An empty outbox made for one test. Domain `bookshelf`, external broker `partner`, messages of at most 4,000 bytes. */
export interface OutboxUnderTest {
  readonly store: OutboxStore;
  /** Writes messages in a transaction; their ids, in order. */
  add(...messages: readonly NewMessage[]): Promise<readonly string[]>;
  /** Lets time go by on the store's own clock. */
  pass(ms: number): Promise<void>;
}

export interface OutboxSuite {
  create(settings: { readonly ordering: 'stream' | 'none'; readonly shards: number }): Promise<OutboxUnderTest>;
  close(): Promise<void>;
  /** Whether published rows are kept until they are purged. */
  readonly keepsPublished: boolean;
}

export const anEvent = (id: string, n: number, options: NewMessage['options'] = {}): NewMessage => ({
  kind: 'EVENT',
  name: 'OrderPlaced',
  category: 'bookshelf::order',
  id,
  dataText: `{"n":${n}}`,
  options,
});

export const aCommand = (n: number, options: NewMessage['options'] = {}): NewMessage => ({
  kind: 'COMMAND',
  name: 'PlaceOrder',
  category: 'bookshelf::order',
  id: null,
  dataText: `{"n":${n}}`,
  options,
});

const ascending = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

const failure: Failure = { type: 'ReplyError', code: 'WRONGTYPE', message: 'no \0 stream \ud800', stack: null };

/** `a1`: the id of the aggregate and the number in the payload. */
export const tell = ({ stream, dataText }: OutboxRow): string => `${stream.split('-')[1]}${JSON.parse(dataText).n}`;

/** What every outbox promises. An adapter passes this suite before it is offered in domain.toml. */
export function outboxConformance(name: string, { create, close, keepsPublished }: OutboxSuite): void {
  describe(`an outbox in ${name}`, () => {
    after(close);

    async function given(
      settings: { ordering?: 'stream' | 'none'; shards?: number } = {},
      broker: string | null = null,
    ) {
      const outbox = await create({ ordering: 'stream', shards: 1, ...settings });
      const shard = outbox.store.shard(0, 1, broker, 'lease');
      const token = await outbox.store.leases.acquire('lease', 'me', 600_000);
      assert.ok(token !== null);
      const read = (limit = 100, inFlight: readonly OutboxRow[] = []) =>
        shard.read({ limit, inFlight: inFlight.map(({ id }) => id) });
      return {
        ...outbox,
        shard,
        token,
        read,
        told: async (...args: Parameters<typeof read>) => (await read(...args)).map(tell),
        publish: (rows: readonly OutboxRow[]) => shard.published(rows.map(({ id }) => id)),
        refuse: (rows: readonly OutboxRow[], retryInMs: number | null, fence = token) =>
          shard.refused(
            rows.map(({ id }) => ({ id, failure, retryInMs })),
            fence,
          ),
      };
    }

    describe('reading', () => {
      it('brings rows in the order in which they were written, up to a limit', async () => {
        const { add, told } = await given();
        await add(anEvent('a', 1), anEvent('b', 2), anEvent('a', 3));
        assert.deepEqual(await told(), ['a1', 'b2', 'a3']);
        assert.deepEqual(await told(2), ['a1', 'b2']);
      });

      it('is empty, not failing, where there is nothing', async () => {
        const { read } = await given();
        assert.deepEqual(await read(), []);
      });

      it('brings the payload word for word', async () => {
        const { add, read } = await given();
        const dataText =
          '{ "zero": "\\u0000", "half": "\\ud800", "one": 1.0, "big": 12345678901234567890, "ü": "ü",  "one": 2 }';
        await add({ ...anEvent('a', 1), dataText });
        assert.equal((await read())[0]?.dataText, dataText);
      });

      it('brings what makes an entry that can be decoded, with what the message was told to carry', async () => {
        const { add, read } = await given();
        const options = { version: 2, priority: -5, partition_key: 'p', correlation_id: 'c', causation_id: 'd' };
        const [id] = await add(anEvent('o-1', 1, options));
        const [row] = await read();
        assert.ok(row);
        const message = decode(composeBody(row.dataText, row.metadataText));
        assert.equal(message.id, id);
        assert.equal(message.type, 'Bookshelf.OrderPlaced.v2');
        assert.equal(message.stream, 'bookshelf::order-o-1');
        const { domain } = message.metadata;
        assert.deepEqual([domain.priority, domain.correlation_id, domain.causation_id], [-5, 'c', 'd']);
        const { messageId, stream, category, kind, priority, partitionKey, attempt } = row;
        assert.deepEqual([messageId, stream, category], [id, 'bookshelf::order-o-1', 'bookshelf::order']);
        assert.deepEqual([kind, priority, partitionKey, attempt], ['EVENT', -5, 'p', 1]);
        assert.ok(row.ageMs >= 0);
      });

      it('brings commands too, to their own category', async () => {
        const { add, read } = await given();
        const [id] = await add(aCommand(1));
        const [row] = await read();
        assert.deepEqual(
          [row?.kind, row?.category, row?.stream],
          ['COMMAND', 'bookshelf::order:command', `bookshelf::order:command-${id}`],
        );
      });

      it('leaves out what is in flight', async () => {
        const { add, read, told } = await given();
        await add(anEvent('a', 1), anEvent('a', 2), anEvent('b', 3));
        const first = await read(2);
        assert.deepEqual(await told(100, first), ['b3']);
        assert.deepEqual(await told(), ['a1', 'a2', 'b3']);
      });

      it('leaves a row for later until its time has come, which holds back no other', async () => {
        const { add, told, pass } = await given();
        const soon = new Date(Date.now() + 60_000).toISOString();
        await add(anEvent('a', 1, { deliver_at: soon }), anEvent('a', 2));
        assert.deepEqual(await told(), ['a2']);
        await pass(61_000);
        assert.deepEqual(await told(), ['a1', 'a2']);
      });

      it('gives up on a row that is too large, and its neighbours go on', async () => {
        const { add, told, store } = await given();
        await add({ ...anEvent('a', 1), dataText: `{"n":1,"text":"${'ü'.repeat(2_000)}"}` }, anEvent('a', 2));
        assert.deepEqual(await told(), ['a2']);
        assert.equal((await store.stats(null)).abandoned, 1);
      });
    });

    describe('marking as published', () => {
      it('is for good, can be repeated, and needs no lease', async () => {
        const { add, read, publish, told, pass } = await given();
        await add(anEvent('a', 1), anEvent('a', 2));
        const rows = await read(1);
        await pass(700_000);
        await publish(rows);
        await publish(rows);
        await publish([]);
        assert.deepEqual(await told(), ['a2']);
      });
    });

    describe('a refused row', () => {
      it('comes again when its time has come, one attempt later', async () => {
        const { add, read, refuse, pass } = await given();
        await add(anEvent('a', 1));
        await refuse(await read(), 10_000);
        assert.deepEqual(await read(), []);
        await pass(9_000);
        assert.deepEqual(await read(), []);
        await pass(1_100);
        assert.deepEqual(
          (await read()).map(({ attempt }) => attempt),
          [2],
        );
      });

      it('holds back the later rows of its stream, and no others, until it is published', async () => {
        const { add, read, refuse, publish, told, pass } = await given();
        await add(anEvent('a', 1), anEvent('b', 2), anEvent('a', 3), anEvent('c', 4));
        await refuse(await read(1), 10_000);
        assert.deepEqual(await told(), ['b2', 'c4']);
        await add(anEvent('a', 5));
        assert.deepEqual(await told(), ['b2', 'c4']);
        await pass(10_100);
        assert.deepEqual(await told(), ['a1', 'b2', 'c4']);
        const [due] = await read();
        assert.ok(due);
        assert.deepEqual(await told(100, [due]), ['b2', 'c4']);
        await publish([due]);
        assert.deepEqual(await told(), ['b2', 'a3', 'c4', 'a5']);
      });

      it('holds back a later one that was refused too', async () => {
        const { add, read, refuse, told, pass } = await given();
        await add(anEvent('a', 1), anEvent('a', 2));
        const [first, second] = await read();
        assert.ok(first && second);
        await refuse([first], 20_000);
        await refuse([second], 1_000);
        await pass(2_000);
        assert.deepEqual(await told(), []);
        await pass(19_000);
        assert.deepEqual(await told(), ['a1']);
      });

      it('holds back nothing where no order is asked for', async () => {
        const { add, read, refuse, told } = await given({ ordering: 'none' });
        await add(anEvent('a', 1), anEvent('a', 2));
        await refuse(await read(1), 10_000);
        assert.deepEqual(await told(), ['a2']);
      });

      it('lets its stream go on when it is given up', async () => {
        const { add, read, refuse, told, store } = await given();
        await add(anEvent('a', 1), anEvent('a', 2), anEvent('b', 3));
        const [first, , third] = await read();
        assert.ok(first && third);
        await refuse([first, third], null);
        assert.deepEqual(await told(), ['a2']);
        assert.equal((await store.stats(null)).abandoned, 2);
      });

      it('is not written down by one who has lost the lease', async () => {
        const { add, read, refuse, pass, store, token, told } = await given();
        await add(anEvent('a', 1));
        const rows = await read();
        await pass(700_000);
        assert.ok(await store.leases.acquire('lease', 'another', 1_000));
        await refuse(rows, null, token);
        assert.deepEqual(await told(), ['a1']);
      });

      it('stays published where it was published after all', async () => {
        const { add, read, refuse, publish, told } = await given();
        await add(anEvent('a', 1));
        const rows = await read();
        await publish(rows);
        await refuse(rows, 1);
        assert.deepEqual(await told(), []);
      });
    });

    describe('rows with a priority', () => {
      it('come first, beside a quarter of the oldest', async () => {
        const { add, told } = await given();
        await add(anEvent('a', 1), anEvent('b', 2), anEvent('c', 3), anEvent('d', 4));
        await add(
          anEvent('e', 5, { priority: 5 }),
          anEvent('f', 6, { priority: 9 }),
          anEvent('g', 7, { priority: -1 }),
        );
        assert.deepEqual(await told(4), ['a1', 'b2', 'e5', 'f6']);
        assert.deepEqual(await told(3), ['a1', 'e5', 'f6']);
        assert.deepEqual(await told(1), ['a1']);
        assert.deepEqual(await told(6), ['a1', 'b2', 'c3', 'd4', 'e5', 'f6']);
        assert.deepEqual(await told(), ['a1', 'b2', 'c3', 'd4', 'e5', 'f6', 'g7']);
      });

      it('never overtake a row of their stream', async () => {
        const { add, told } = await given();
        await add(anEvent('a', 1), anEvent('b', 2), anEvent('b', 3, { priority: 9 }), anEvent('c', 4));
        await add(
          anEvent('d', 5, { priority: -3 }),
          anEvent('d', 6),
          anEvent('e', 7),
          anEvent('d', 8, { priority: 9 }),
        );
        assert.deepEqual(await told(2), ['a1', 'b2']);
        assert.deepEqual(await told(5), ['a1', 'b2', 'b3', 'c4', 'e7']);
        assert.deepEqual(await told(7), ['a1', 'b2', 'b3', 'c4', 'd5', 'd6', 'e7']);
      });

      it('overtake a backlog, but for what stands before them in it', async () => {
        const { add, told } = await given();
        await add(...Array.from({ length: 40 }, (_, n) => anEvent(`s${n}`, n)));
        await add(
          anEvent('s30', 40, { priority: 1 }),
          anEvent('t', 41, { priority: 1 }),
          anEvent('t', 42, { priority: 2 }),
        );
        assert.deepEqual(await told(4), ['s00', 's11', 't41', 't42']);
        const first = Array.from({ length: 32 }, (_, n) => `s${n}${n}`);
        assert.deepEqual(await told(34), [...first, 't41', 't42']);
      });

      it('go before those below them, however many those are', async () => {
        const { add, told } = await given();
        await add(...Array.from({ length: 40 }, (_, n) => anEvent(`s${n % 3}`, n, { priority: -5 })));
        await add(anEvent('t', 40), anEvent('s1', 41), anEvent('u', 42, { priority: -4 }));
        assert.deepEqual(await told(4), ['s00', 's11', 't40', 'u42']);
      });

      it('go in the order of their priority alone where no other is asked for', async () => {
        const { add, told } = await given({ ordering: 'none' });
        await add(anEvent('a', 1), anEvent('b', 2), anEvent('b', 3, { priority: 9 }));
        assert.deepEqual(await told(2), ['a1', 'b3']);
      });

      it('are held back with their stream by a refused one', async () => {
        const { add, read, refuse, told } = await given();
        await add(anEvent('a', 1), anEvent('a', 2, { priority: 9 }), anEvent('b', 3), anEvent('c', 4, { priority: 1 }));
        await refuse(await read(1), 10_000);
        assert.deepEqual(await told(), ['b3', 'c4']);
        await refuse((await read()).slice(1), null);
        assert.deepEqual(await told(), ['b3']);
      });

      it('are told from the others of an external broker alike', async () => {
        const { add, told } = await given({}, 'partner');
        const published = true;
        await add(
          anEvent('a', 1, { published }),
          anEvent('b', 2, { published }),
          anEvent('c', 3, { published, priority: 7 }),
        );
        assert.deepEqual(await told(2), ['a1', 'c3']);
      });

      it('are all published, each stream in its order, also two batches at a time', async () => {
        const { add, read, publish } = await given();
        let seed = 7;
        const random = (below: number) => {
          seed = (seed * 48_271) % 2_147_483_647;
          return seed % below;
        };
        const sent: OutboxRow[] = [];
        let inFlight: readonly OutboxRow[] = [];
        for (let round = 0; round < 60; round += 1) {
          if (round < 25) {
            const priorities = Array.from({ length: 6 }, () => ({ priority: random(4) === 0 ? 0 : random(7) - 3 }));
            await add(...priorities.map((options, n) => anEvent(`s${random(5)}`, round * 10 + n, options)));
          }
          const next = await read(7, inFlight);
          await publish(inFlight);
          sent.push(...inFlight);
          inFlight = next;
        }
        assert.deepEqual([inFlight.length, sent.length], [0, 150]);
        for (const stream of new Set(sent.map((row) => row.stream))) {
          const ids = sent.filter((row) => row.stream === stream).map(({ id }) => BigInt(id));
          assert.deepEqual(ids, ids.toSorted(ascending));
        }
      });
    });

    describe('shards', () => {
      it('divide the rows among them, each stream as a whole', async () => {
        const { add, store } = await given({ shards: 4 });
        const events = Array.from({ length: 100 }, (_, n) => anEvent(`s${n % 25}`, n));
        await add(...events);
        assert.equal(await store.shards(), 4);
        const shards: Outbox[] = [0, 1, 2, 3].map((index) => store.shard(index, 4, null, `lease ${index}`));
        const read = await Promise.all(shards.map((shard) => shard.read({ limit: 100, inFlight: [] })));
        assert.equal(new Set(read.flat().map(({ id }) => id)).size, 100);
        const streams = read.map((rows) => new Set(rows.map(({ stream }) => stream)));
        assert.equal(streams.flatMap((each) => [...each]).length, 25);
        for (const rows of read) {
          assert.ok(rows.length > 0);
          assert.deepEqual(
            rows.map(({ id }) => BigInt(id)),
            rows.map(({ id }) => BigInt(id)).sort((a, b) => (a < b ? -1 : 1)),
          );
        }
      });
    });

    describe('rows for an external broker', () => {
      it('are its own, beside those of the domain, and in the form that others get', async () => {
        const { add, store, read, told } = await given({}, 'partner');
        await add(anEvent('a', 1, { published: true, priority: 3, partition_key: 'p' }), anEvent('a', 2));
        const own = await store.shard(0, 1, null, 'own').read({ limit: 100, inFlight: [] });
        assert.deepEqual(own.map(tell), ['a1', 'a2']);
        assert.deepEqual(await told(), ['a1']);
        const [row] = await read();
        assert.equal(row?.partitionKey, null);
        assert.equal(row?.messageId, own[0]?.messageId);
        const metadata = JSON.parse(row?.metadataText ?? '');
        assert.deepEqual(Object.keys(metadata).sort(), ['domain', 'envelope', 'headers']);
        assert.deepEqual(metadata.envelope, { specversion: '1.0' });
        for (const key of ['expected_version', 'asynchronous', 'priority']) assert.ok(!(key in metadata.domain));
      });

      it('hold back only their like', async () => {
        const { add, store, read, refuse, told } = await given({}, 'partner');
        await add(anEvent('a', 1, { published: true }), anEvent('a', 2, { published: true }));
        await refuse(await read(1), 10_000);
        assert.deepEqual(await told(), []);
        const own = await store.shard(0, 1, null, 'own').read({ limit: 100, inFlight: [] });
        assert.deepEqual(own.map(tell), ['a1', 'a2']);
        assert.deepEqual((await store.stats('partner')).failed, 1);
        assert.deepEqual((await store.stats(null)).failed, 0);
      });
    });

    describe('its figures', () => {
      it('count what waits, what failed and what was given up, and know the oldest', async () => {
        const { add, read, refuse, publish, pass, store } = await given();
        assert.deepEqual(await store.stats(null), { pending: 0, failed: 0, abandoned: 0, oldestPendingMs: null });
        await add(anEvent('a', 1), anEvent('b', 2), anEvent('c', 3), anEvent('d', 4));
        await pass(5_000);
        await add(anEvent('e', 5), anEvent('f', 6, { deliver_at: '2999-01-01T00:00:00Z' }));
        const [a, b, c] = await read();
        assert.ok(a && b && c);
        await publish([a]);
        await refuse([b], 10_000);
        await refuse([c], null);
        const { oldestPendingMs, ...counts } = await store.stats(null);
        assert.deepEqual(counts, { pending: 3, failed: 1, abandoned: 1 });
        assert.ok(oldestPendingMs !== null && oldestPendingMs >= 5_000 && oldestPendingMs < 60_000);
      });
    });

    describe('purging', () => {
      it('deletes what was published or given up long ago, up to a limit, and nothing that waits', async () => {
        const { add, read, refuse, publish, pass, store, told } = await given();
        await add(...Array.from({ length: 8 }, (_, n) => anEvent('abcdefgh'.charAt(n), n)));
        const rows = await read();
        await refuse(rows.slice(0, 3), null);
        await refuse(rows.slice(3, 4), 1);
        await publish(rows.slice(4, 7));
        assert.equal(await store.purge(1_000, 1_000, 100), 0);
        await pass(5_000);
        const published = keepsPublished ? 3 : 0;
        assert.equal(await store.purge(1_000, 60_000, 100), published);
        assert.equal(await store.purge(1_000, 60_000, 100), 0);
        assert.equal((await store.stats(null)).abandoned, 3);
        assert.equal(await store.purge(1_000, 1_000, 2), 2);
        assert.equal(await store.purge(1_000, 1_000, 2), 1);
        assert.equal(await store.purge(1_000, 1_000, 2), 0);
        assert.deepEqual(await told(), ['d3', 'h7']);
      });
    });
  });
}
