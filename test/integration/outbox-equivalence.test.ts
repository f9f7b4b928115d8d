import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Database } from '../../src/connection/database.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import { createMemoryOutbox } from '../../src/outbox/memory-outbox.ts';
import type { Outbox, OutboxRow, OutboxStore } from '../../src/outbox/outbox.ts';
import { createPostgresqlOutbox } from '../../src/outbox/postgresql-outbox.ts';
import { writeMessages } from '../../src/outbox/postgresql-writing.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { aDatabase, anOutboxConfig, passTime, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

/** What may be asked of an outbox; `which` picks among the rows in flight. */
type Step =
  | { readonly do: 'write'; readonly rows: readonly { readonly id: 0 | 1 | 2; readonly kind: Writing }[] }
  | { readonly do: 'read'; readonly limit: number; readonly inFlight: boolean }
  | { readonly do: 'published' | 'refused' | 'abandoned' | 'refused with an old token'; readonly which: number }
  | { readonly do: 'pass' | 'purge'; readonly ms: number }
  | { readonly do: 'acquire' | 'renew' | 'release'; readonly owner: 0 | 1 };
type Writing = 'plain' | 'first' | 'later' | 'large' | 'external';

const row = fc.record({
  id: fc.constantFrom(0 as const, 1 as const, 2 as const),
  kind: fc.constantFrom<Writing[]>('plain', 'plain', 'plain', 'first', 'later', 'large', 'external'),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('write' as const), rows: fc.array(row, { minLength: 1, maxLength: 3 }) }),
  fc.record({ do: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 5 }), inFlight: fc.boolean() }),
  fc.record({
    do: fc.constantFrom(
      'published' as const,
      'refused' as const,
      'abandoned' as const,
      'refused with an old token' as const,
    ),
    which: fc.nat(4),
  }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(20_000, 50_000, 200_000) }),
  // No sum of the above: the clock of PostgreSQL goes on by itself, and would decide.
  fc.record({ do: fc.constant('purge' as const), ms: fc.constantFrom(25_000, 115_000) }),
  fc.record({
    do: fc.constantFrom('acquire' as const, 'renew' as const, 'release' as const),
    owner: fc.constantFrom(0 as const, 1 as const),
  }),
);

/** One of the two outboxes, what is in flight, and the tokens that its owners had last. */
interface Side {
  readonly store: OutboxStore;
  readonly shard: Outbox;
  readonly add: (messages: readonly NewMessage[]) => Promise<unknown>;
  readonly pass: (ms: number) => Promise<unknown>;
  readonly tokens: [string, string];
  fence: string;
  inFlight: readonly OutboxRow[];
}

const failure = { type: 'ReplyError', code: 'WRONGTYPE', message: 'no', stack: null };
const owners = ['one', 'other'] as const;
const leaseMs = 65_000;
/** How long rows are kept, and what those that are due later wait for. */
const waitMs = 45_000;

function messageOf(number: number, index: number, id: number, kind: Writing, now: number): NewMessage {
  const options = {
    plain: {},
    first: { priority: 5 },
    later: { deliver_at: new Date(now + waitMs).toISOString() },
    large: {},
    external: { published: true },
  }[kind];
  const filling = kind === 'large' ? 'x'.repeat(5_000) : '';
  const dataText = JSON.stringify({ n: `${number}.${index}`, filling });
  return { kind: 'EVENT', name: 'OrderPlaced', category: 'bookshelf::order', id: `a${id}`, dataText, options };
}

const told = ({ dataText, stream, category, priority, attempt }: OutboxRow) => ({
  n: (JSON.parse(dataText) as { readonly n: string }).n,
  stream,
  category,
  priority,
  attempt,
});

/** Does a step on one side; what came of it, in terms that both sides share. */
async function perform(side: Side, action: Step, number: number, now: () => number): Promise<unknown> {
  const { store, shard, add, pass, tokens } = side;
  switch (action.do) {
    case 'write':
      await add(action.rows.map(({ id, kind }, index) => messageOf(number, index, id, kind, now())));
      return null;
    case 'read': {
      // A relay goes on with what it has in flight, or begins anew with nothing.
      const before = action.inFlight ? side.inFlight : [];
      const rows = await shard.read({ limit: action.limit, inFlight: before.map(({ id }) => id) });
      side.inFlight = [...before, ...rows];
      return rows.map(told);
    }
    case 'pass':
      await pass(action.ms);
      return null;
    case 'purge':
      return store.purge(0, action.ms, 100);
    case 'acquire': {
      const token = await store.leases.acquire('lease', owners[action.owner], leaseMs);
      if (token === null) return null;
      tokens[action.owner] = token;
      side.fence = token;
      return Number(token);
    }
    case 'renew':
      return store.leases.renew('lease', owners[action.owner], tokens[action.owner], leaseMs);
    case 'release':
      await store.leases.release('lease', owners[action.owner], tokens[action.owner]);
      return store.leases.live('lease');
  }
  const picked = side.inFlight[action.which];
  if (picked === undefined) return 'nothing read';
  // As a relay does: what it has settled it does not settle again.
  side.inFlight = side.inFlight.filter((each) => each !== picked);
  const { id } = picked;
  if (action.do === 'published') await shard.published([id]);
  else {
    const retryInMs = action.do === 'abandoned' ? null : waitMs;
    const fence = action.do === 'refused with an old token' ? String(Number(side.fence) - 1) : side.fence;
    await shard.refused([{ id, failure, retryInMs }], fence);
  }
  return null;
}

async function stateOf({ store }: Side): Promise<unknown> {
  const [own, external] = await Promise.all([store.stats(null), store.stats('partner')]);
  const counts = ({ pending, failed, abandoned }: typeof own) => ({ pending, failed, abandoned });
  return { own: counts(own), external: counts(external), leases: await store.leases.live('lease') };
}

describe('The outboxes in memory and in PostgreSQL', () => {
  let server: PostgresqlServer;
  let database: Database;
  before(async () => {
    server = await startPostgresql();
    database = aDatabase(await server.createDatabase());
    await setUp(database);
  });
  after(async () => {
    await database.close();
    await server.stop();
  });

  for (const ordering of ['stream', 'none'] as const) {
    it(`answer alike, whatever is asked of them in whatever order, with the ordering ${ordering}`, async () => {
      const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const { schema } = database;
        await database.bounded((sql) => sql.unsafe(`delete from "${schema}".outbox; delete from "${schema}".lease`));
        const sides = await Promise.all([inMemory(ordering), inPostgresql(database, ordering)]);
        const [memory, real] = sides;
        for (const [number, action] of steps.entries()) {
          const there = await perform(memory.side, action, number, memory.now);
          const here = await perform(real.side, action, number, real.now);
          assert.deepEqual(here, there, `step ${number}: ${JSON.stringify(action)}`);
          assert.deepEqual(await stateOf(real.side), await stateOf(memory.side), `after step ${number}: ${action.do}`);
        }
      });
      await fc.assert(property, { numRuns: 25, includeErrorInReport: true });
    });
  }
});

async function sideOf(store: OutboxStore, { add, pass }: Pick<Side, 'add' | 'pass'>): Promise<Side> {
  const fence = (await store.leases.acquire('lease', owners[0], leaseMs)) ?? '0';
  return { store, shard: store.shard(0, 1, null, 'lease'), add, pass, tokens: [fence, fence], fence, inFlight: [] };
}

async function inMemory(ordering: 'stream' | 'none') {
  const clock = createManualClock(1_700_000_000_000);
  const domain = { name: 'Bookshelf', normalized: 'bookshelf', camel: 'Bookshelf' };
  const store = createMemoryOutbox(
    { database: 'default', domain, ordering, maxMessageBytes: 4_000, externalBrokers: ['partner'] },
    { clock, random: Math.random, emit: () => undefined, onAdded: () => undefined },
  );
  const add = async (messages: readonly NewMessage[]) => store.add(messages);
  return { side: await sideOf(store, { add, pass: (ms) => clock.advance(ms) }), now: () => clock.now() };
}

async function inPostgresql(database: Database, ordering: 'stream' | 'none') {
  const config = anOutboxConfig({ ordering, maxMessageBytes: 4_000, retention: 0 });
  const store = createPostgresqlOutbox(config, { database, emit: () => undefined });
  const add = (messages: readonly NewMessage[]) =>
    database.bounded((sql) => writeMessages(sql, database.schema, messages));
  return { side: await sideOf(store, { add, pass: (ms) => passTime(database, ms) }), now: () => Date.now() };
}
