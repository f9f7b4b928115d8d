import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { EventStore } from '../../src/event-store/event-store.ts';
import { bodyOf } from '../../src/event-store/stored-message.ts';
import { createDeadlines } from '../../src/handler/deadlines.ts';
import type { HandlerContext } from '../../src/handler/handler.ts';
import type { Outcome } from '../../src/handler/invoke.ts';
import { invoke } from '../../src/handler/invoke.ts';
import type { UnitsOfWork } from '../../src/handler/unit-of-work.ts';
import type { Fold } from '../../src/message/aggregate.ts';
import { decode } from '../../src/message/codec.ts';
import type { Metadata } from '../../src/message/message.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { aMessage } from '../support/messages.ts';

/** Units of work and the event store beside them, made for one run of the suite; `snapshot_threshold` is 3. */
export interface AggregatesUnderTest {
  readonly unitsOfWork: UnitsOfWork;
  readonly store: EventStore;
  /** What was written to the outbox, in order. */
  outbox(): Promise<readonly { readonly id: string; readonly sequenceId: string | null; readonly name: string }[]>;
  close(): Promise<void>;
}

interface Account {
  readonly balance: number;
  readonly moves: readonly string[];
}

const empty: Account = { balance: 0, moves: [] };

const account: Fold<Account> = {
  Opened: (state) => state,
  Paid: ({ balance, moves }, { data, id }) => ({ balance: balance + data.amount, moves: [...moves, id] }),
};

const paid = (amount: number) => ({ type: 'Paid', data: { amount } });
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** What holds for handlers that append and load, wherever the event store is. */
export function aggregatesConformance(name: string, create: () => Promise<AggregatesUnderTest>): void {
  describe(`event-sourced aggregates, ${name}`, () => {
    let under: AggregatesUnderTest;
    let serial = 0;
    before(async () => {
      under = await create();
    });
    const deadlines = createDeadlines(30_000, { clock: systemClock, hard: new AbortController().signal });
    after(async () => {
      deadlines.close();
      await under.close();
    });

    const anAccount = () => ({ category: 'account', id: `acc-${serial++}` });
    const streamOf = ({ id }: { readonly id: string }) => `bookshelf::account-${id}`;

    function handle(run: (ctx: HandlerContext) => unknown, messageId = `told-${serial++}`): Promise<Outcome> {
      return invoke(
        { name: 'Accounts', handles: new Map([['OrderPlaced', (_message: never, ctx: HandlerContext) => run(ctx)]]) },
        aMessage({ id: messageId, correlationId: 'correlation-1' }),
        { entryId: `${serial++}-0`, attempt: 1, signal: () => new AbortController().signal },
        {
          domain: 'bookshelf',
          config: {},
          unitsOfWork: under.unitsOfWork,
          log: () => silent,
          deadlines,
        },
      );
    }

    async function handled(run: (ctx: HandlerContext) => unknown): Promise<unknown> {
      const outcome = await handle(run);
      if (outcome.kind === 'done') return outcome.value;
      throw outcome.error;
    }

    const metadataIn = async (stream: string): Promise<readonly Metadata[]> =>
      (await under.store.readStream(stream, 0, 100)).map((stored) => decode(bodyOf(stored) ?? '').metadata);

    it('give each event the id, the sequence id and the version of its place', async () => {
      const at = anAccount();
      await handled((ctx) => ctx.append(at, [{ type: 'Opened', data: {} }, paid(5)], { expectedVersion: -1 }));
      await handled((ctx) => ctx.append(at, [paid(7)]));
      const metadata = await metadataIn(streamOf(at));
      assert.deepEqual(
        metadata.map(({ headers }) => headers.id),
        [0, 1, 2].map((n) => `${streamOf(at)}-${n}`),
      );
      assert.deepEqual(
        metadata.map(({ domain }) => domain.sequence_id),
        ['0', '1', '2'],
      );
      assert.deepEqual(
        metadata.map(({ domain }) => domain.expected_version),
        [-1, 0, 1],
      );
      const [{ headers, domain, envelope, extensions } = assert.fail('nothing was appended')] = metadata;
      assert.deepEqual(headers, {
        id: `${streamOf(at)}-0`,
        time: headers.time,
        type: 'Bookshelf.Opened.v1',
        stream: streamOf(at),
        traceparent: null,
        idempotency_key: null,
        deadline: null,
      });
      assert.match(headers.time ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
      assert.deepEqual([envelope, extensions], [{ specversion: '1.0', checksum: null }, {}]);
      assert.deepEqual(
        { ...domain, causation_id: 'told' },
        {
          fqn: 'bookshelf.Opened',
          kind: 'EVENT',
          origin_stream: null,
          stream_category: 'bookshelf::account',
          version: 1,
          sequence_id: '0',
          asynchronous: true,
          expected_version: -1,
          priority: 0,
          correlation_id: 'correlation-1',
          causation_id: 'told',
        },
      );
    });

    it('send their events through the outbox too, with the same ids', async () => {
      const at = anAccount();
      const before = (await under.outbox()).length;
      await handled((ctx) => {
        ctx.raise('AccountAsked', { category: 'account', id: at.id, data: {} });
        ctx.append(at, [{ type: 'Opened', data: {} }, paid(5)]);
      });
      const rows = (await under.outbox()).slice(before);
      assert.deepEqual(rows.slice(0, 2), [
        { id: `${streamOf(at)}-0`, sequenceId: '0', name: 'Opened' },
        { id: `${streamOf(at)}-1`, sequenceId: '1', name: 'Paid' },
      ]);
      assert.equal(rows[2]?.name, 'AccountAsked');
    });

    it('fail with a ConcurrencyError at another version, and then nothing has happened', async () => {
      const at = anAccount();
      await handled((ctx) => ctx.append(at, [paid(1), paid(2)]));
      const before = await under.outbox();
      const conflict = (ctx: HandlerContext) => {
        ctx.append(at, [paid(3)], { expectedVersion: 0 });
        return ctx.store('seen').put(at.id, { seen: true });
      };
      await assert.rejects(handled(conflict), {
        name: 'ConcurrencyError',
        message: /is at 1, not at the expected version 0/,
      });
      assert.equal((await metadataIn(streamOf(at))).length, 2);
      assert.deepEqual(await under.outbox(), before);
      assert.equal(await handled((ctx) => ctx.store('seen').get(at.id)), null);
    });

    it('append nothing for a handler that fails', async () => {
      const at = anAccount();
      const outcome = await handle((ctx) => {
        ctx.append(at, [paid(3)]);
        throw new Error('no');
      });
      assert.equal(outcome.kind, 'failed');
      assert.deepEqual(await metadataIn(streamOf(at)), []);
    });

    it('append once for a message that comes twice, and do not decide again', async () => {
      const at = anAccount();
      let decided = 0;
      const decide = async (ctx: HandlerContext) => {
        const { version } = await ctx.load(at, account, empty);
        decided += 1;
        ctx.append(at, [paid(3)], { expectedVersion: version });
      };
      const first = await handle(decide, `twice-${at.id}`);
      assert.ok(first.kind === 'done' && first.effect === 'ok', JSON.stringify(first));
      const second = await handle(decide, `twice-${at.id}`);
      assert.ok(second.kind === 'done' && second.effect === 'duplicate', JSON.stringify(second));
      assert.equal(decided, 1);
      assert.equal((await metadataIn(streamOf(at))).length, 1);
    });

    it('append for each of two transactions that are about no message', async () => {
      const at = anAccount();
      const event = {
        kind: 'EVENT',
        name: 'Paid',
        category: 'bookshelf::account',
        id: at.id,
        dataText: '{}',
        options: {},
      } as const;
      for (const _ of [1, 2]) {
        const work = under.unitsOfWork.beginMany([]);
        work.append({ stream: streamOf(at), expectedVersion: null, events: [event] });
        assert.equal(await work.commit(), 'committed');
      }
      assert.equal((await metadataIn(streamOf(at))).length, 2);
    });

    it('let one of many through that decide on the same version', async () => {
      const at = anAccount();
      const decide = async (ctx: HandlerContext) => {
        const { version } = await ctx.load(at, account, empty);
        if (version === -1) ctx.append(at, [paid(1)], { expectedVersion: version });
      };
      const outcomes = await Promise.all(Array.from({ length: 6 }, () => handle(decide)));
      for (const outcome of outcomes) {
        if (outcome.kind !== 'done') assert.equal(outcome.error.name, 'ConcurrencyError', String(outcome.error));
      }
      assert.equal((await metadataIn(streamOf(at))).length, 1);
    });

    it('are loaded by folding their events', async () => {
      const at = anAccount();
      assert.deepEqual(await handled((ctx) => ctx.load(at, account, empty)), { state: empty, version: -1 });
      await handled((ctx) => ctx.append(at, [paid(1), paid(4)]));
      const loaded = await handled((ctx) => ctx.load({ ...at, category: 'bookshelf::account' }, account, empty));
      const moves = [`${streamOf(at)}-0`, `${streamOf(at)}-1`];
      assert.deepEqual(loaded, { state: { balance: 5, moves }, version: 1 });
    });

    it('keep the initial state apart from what folds change in place', async () => {
      const at = anAccount();
      await handled((ctx) => ctx.append(at, [paid(1)]));
      const inPlace: Fold<{ sum: number }> = {
        $any(state, { data }) {
          state.sum += data.amount;
          return state;
        },
      };
      const initial = { sum: 0 };
      for (const _ of [1, 2]) {
        assert.deepEqual(await handled((ctx) => ctx.load(at, inPlace, initial)), { state: { sum: 1 }, version: 0 });
      }
      assert.deepEqual(initial, { sum: 0 });
    });

    it('are loaded from a snapshot after as many events as the threshold', async () => {
      const at = anAccount();
      const snapshotStream = `bookshelf::account:snapshot-${at.id}`;
      await handled((ctx) => ctx.append(at, [paid(1), paid(2)]));
      await handled((ctx) => ctx.load(at, account, empty));
      assert.equal(await under.store.lastMessage(snapshotStream), null);
      await handled((ctx) => ctx.append(at, [paid(3)]));
      const loaded = await handled((ctx) => ctx.load(at, account, empty));
      const snapshot = await under.store.lastMessage(snapshotStream);
      assert.equal(snapshot?.type, 'SNAPSHOT');
      assert.equal(snapshot.metadataText, null);
      const moves = [0, 1, 2].map((n) => `${streamOf(at)}-${n}`);
      assert.deepEqual(JSON.parse(snapshot.dataText), { balance: 6, moves, _version: 2 });
      assert.deepEqual(loaded, { state: { balance: 6, moves }, version: 2 });
      await handled((ctx) => ctx.append(at, [paid(4)]));
      const folded: string[] = [];
      const watched: Fold<Account> = {
        Paid: (state, event) => {
          folded.push(event.id);
          return { ...state, balance: state.balance + event.data.amount };
        },
      };
      const after = await handled((ctx) => ctx.load(at, watched, empty));
      assert.deepEqual(after, { state: { balance: 10, moves }, version: 3 });
      assert.deepEqual(folded, [`${streamOf(at)}-3`], 'what the snapshot holds is not folded again');
    });

    it('pass over snapshots of another version, and make no use of any when told so', async () => {
      const at = anAccount();
      await handled((ctx) => ctx.append(at, [paid(1), paid(2), paid(3)]));
      await handled((ctx) => ctx.load(at, account, empty));
      const count: Fold<{ readonly count: number }> = { $any: ({ count: before }) => ({ count: before + 1 }) };
      const second = { snapshotVersion: 2 };
      for (const options of [second, second, { snapshots: false }]) {
        const loaded = await handled((ctx) => ctx.load(at, count, { count: 0 }, options));
        assert.deepEqual(loaded, { state: { count: 3 }, version: 2 });
      }
      const snapshot = await under.store.lastMessage(`bookshelf::account:snapshot-${at.id}`);
      assert.deepEqual([snapshot?.position, JSON.parse(snapshot?.metadataText ?? '')], [1, { snapshot_version: 2 }]);
    });

    it('are not loaded wrongly: an event without a function, a state that is no JSON', async () => {
      const at = anAccount();
      await handled((ctx) => ctx.append(at, [paid(1)]));
      await assert.rejects(
        handled((ctx) => ctx.load(at, {}, empty)),
        { code: 'event_not_folded', message: /no function for Paid/ },
      );
      const dated: Fold<{ readonly at: Date | null }> = { $any: () => ({ at: new Date(0) }) };
      await assert.rejects(
        handled((ctx) => ctx.load(at, dated, { at: null })),
        { code: 'state_not_json' },
      );
      const loaded = await handled((ctx) => ctx.load(at, dated, { at: null }, { snapshots: false }));
      assert.deepEqual(loaded, { state: { at: new Date(0) }, version: 0 });
    });

    it('say what is wrong with what they are asked for', async () => {
      const at = anAccount();
      const wrong: readonly (readonly [(ctx: HandlerContext) => unknown, RegExp])[] = [
        [(ctx) => ctx.append(null as never, []), /^ctx.append needs an aggregate: \{ category, id \}$/],
        [(ctx) => ctx.append({ category: 'a-b', id: '1' }, []), /^ctx.append: category must be a name/],
        [(ctx) => ctx.append(at, {} as never), /^ctx.append: the events must be a list$/],
        [(ctx) => ctx.append(at, [{ type: 'no name', data: {} }]), /^ctx.append, no name: a message is named like/],
        [(ctx) => ctx.append(at, [paid(1)], { expectedVersion: 1.5 }), /^ctx.append: expectedVersion must be/],
        [
          (ctx) => ctx.append(at, [paid(1)], { expected: 1 } as never),
          /^ctx.append: unknown option expected; known is/,
        ],
        [(ctx) => ctx.append(at, [{ type: 'Paid', data: { a: '\0' } }]), /^ctx.append, Paid: data has a character/],
        [
          (ctx) => ctx.append(at, [{ ...paid(1), deliverAt: '2026-01-01T00:00:00Z' } as never]),
          /unknown option deliverAt/,
        ],
      ];
      for (const [run, message] of wrong) await assert.rejects(handled(run), { name: 'TypeError', message });
      assert.deepEqual(await metadataIn(streamOf(at)), []);
    });
  });
}
