import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { EventStore } from '../../src/event-store/event-store.ts';
import { createMessageDbEventStore } from '../../src/event-store/message-db-event-store.ts';
import { openMessageDb } from '../../src/event-store/message-db-open.ts';
import type { Append } from '../../src/message/append.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { withFolder } from '../support/config-folder.ts';
import { createMessageDb } from '../support/message-db.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { Ran, RunOptions } from '../support/run-command.ts';
import { run } from '../support/run-command.ts';

const domain = `
name = "bookshelf"
[brokers.default]
provider = "inline"
[event_store]
provider = "message_db"
database_uri = "\${STORE_URL}"
`;
const secret = 's3cr3t-payload';

interface Told {
  readonly type: string;
  readonly stream: string;
  readonly global_position: number;
  readonly message_id: string | null;
  readonly data?: unknown;
  readonly caused?: readonly Told[];
}

interface Said {
  readonly id: string;
  readonly stream: string;
  readonly name: string;
  readonly kind?: 'EVENT' | 'COMMAND';
  readonly correlation?: string;
  readonly causation?: string;
}

const anAppend = ({ id, stream, name, kind = 'EVENT', correlation, causation }: Said): Append => ({
  stream,
  expectedVersion: null,
  messages: [
    {
      id: randomUUID(),
      type: `Bookshelf.${name}.v1`,
      dataText: JSON.stringify({ secret }),
      metadataText: JSON.stringify({
        headers: { id, stream, type: `Bookshelf.${name}.v1`, time: null },
        domain: { kind, correlation_id: correlation ?? null, causation_id: causation ?? null },
      }),
      numbered: false,
    },
  ],
});

describe('domaind events', () => {
  let server: PostgresqlServer;
  let url: string;
  let store: EventStore;
  before(async () => {
    server = await startPostgresql();
    url = await createMessageDb(server);
    store = createMessageDbEventStore(
      openMessageDb({ uri: url, maxConnections: 2 }, { clock: systemClock, notice: () => undefined }),
    );
    const [correlation, order] = ['c-1', 'bookshelf::order-1'];
    const said: readonly Said[] = [
      { id: 'cmd-1', stream: 'bookshelf::order:command-1', name: 'PlaceOrder', kind: 'COMMAND', correlation },
      { id: 'evt-1', stream: order, name: 'OrderPlaced', correlation, causation: 'cmd-1' },
      {
        id: 'cmd-2',
        stream: 'bookshelf::stock:command-7',
        name: 'Reserve',
        kind: 'COMMAND',
        correlation,
        causation: 'evt-1',
      },
      { id: 'evt-2', stream: 'bookshelf::stock-7', name: 'Reserved', correlation, causation: 'cmd-2' },
      { id: 'evt-3', stream: order, name: 'OrderPaid', correlation: 'c-2', causation: 'elsewhere' },
      { id: 'evt-4', stream: 'bookshelf::order-2', name: 'OrderPlaced', correlation: 'c-3' },
    ];
    await store.append(said.map(anAppend));
    const snapshot = {
      id: randomUUID(),
      type: 'SNAPSHOT',
      dataText: '{"_version": 0}',
      metadataText: null,
      numbered: false,
    };
    await store.append([{ stream: 'bookshelf::order:snapshot-1', expectedVersion: null, messages: [snapshot] }]);
  });
  after(async () => {
    await store.close();
    await server.stop();
  });

  const events = (line: string, options: Partial<RunOptions> = {}): Promise<Ran> =>
    withFolder({ 'domain.toml': domain }, (cwd) =>
      run(['events', ...line.split(' ').filter(Boolean)], { cwd, environment: { STORE_URL: url }, ...options }),
    );
  const typesIn = (told: readonly Told[]) => told.map(({ type }) => type.split('.')[1]);

  it('reads a stream, a category and everything, in order', async () => {
    const ofStream = await events('read bookshelf::order-1 --json');
    assert.equal(ofStream.code, 0, ofStream.err);
    assert.deepEqual(typesIn(ofStream.json<Told[]>()), ['OrderPlaced', 'OrderPaid']);
    assert.deepEqual(typesIn((await events('read order --json')).json<Told[]>()), [
      'OrderPlaced',
      'OrderPaid',
      'OrderPlaced',
    ]);
    assert.deepEqual((await events('read $all --json')).json<Told[]>().length, 7);
    assert.deepEqual(typesIn((await events('read order --type OrderPaid --json')).json<Told[]>()), ['OrderPaid']);
  });

  it('reads a table for people, and says how to go on', async () => {
    const { out, err } = await events('read order --limit 2', { isTty: true });
    assert.match(
      out,
      /^GLOBAL {2}POSITION {2}TIME +TYPE +STREAM\n2 +0 +\d{4}-\d\d-\d\d [\d:.]+ +OrderPlaced +bookshelf::order-1\n/,
    );
    assert.match(err, /^2 were read: go on with --from 6$/);
    const rest = await events('read order --from 6');
    assert.match(rest.out, /OrderPlaced +bookshelf::order-2$/);
    assert.match((await events('read order-9')).err, /^nothing in bookshelf::order-9$/);
  });

  it('shows a payload only to those who ask for it', async () => {
    for (const line of ['read order', 'tail order --no-follow', 'history order 1', 'trace c-1']) {
      for (const json of ['', ' --json']) {
        const [without, with_] = [await events(`${line}${json}`), await events(`${line}${json} --payload`)];
        assert.equal(without.code, 0, without.err);
        assert.ok(!without.out.includes(secret), `${line}${json}`);
        assert.ok(with_.out.includes(secret), `${line}${json} --payload`);
      }
    }
  });

  it('tells the life of an aggregate, and its snapshot', async () => {
    const { out } = await events('history order 1');
    assert.match(out, /^VERSION {2}TIME +TYPE +CORRELATION\n0 .* OrderPlaced +c-1\n1 .* OrderPaid +c-2\n/);
    assert.match(out, /\nbookshelf::order-1: 2 events, version 1, snapshot at version 0$/);
    const json = (await events('history order 1 --json')).json<{
      readonly version: number;
      readonly events: readonly Told[];
    }>();
    assert.deepEqual([json.version, json.events.length], [1, 2]);
    const none = await events('history order 404');
    assert.deepEqual([none.code, none.err], [1, 'there is no stream bookshelf::order-404']);
  });

  it('traces what a request brought about, as a tree', async () => {
    const { out } = await events('trace c-1');
    const shape = out.split('\n').map((line) => line.replace(/ {2}(command|event) .*$/, ' $1'));
    assert.deepEqual(shape, [
      'PlaceOrder command',
      '└─ OrderPlaced event',
      '   └─ Reserve command',
      '      └─ Reserved event',
    ]);
    const [root] = (await events('trace c-1 --json')).json<Told[]>();
    assert.equal(root?.caused?.[0]?.caused?.[0]?.caused?.[0]?.message_id, 'evt-2');
    assert.deepEqual(
      typesIn((await events('trace c-2 --json')).json<Told[]>()),
      ['OrderPaid'],
      'its cause is not here',
    );
    assert.equal((await events('trace nothing')).code, 1);
  });

  it('follows what comes, late commits included, until it is stopped', async () => {
    const soft = new AbortController();
    const lines: string[] = [];
    const wanted = ['late', 'quick'].map((id) => `bookshelf::tail-${id}`);
    let begun: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const tailing = events('tail $all --lines 1 --json', {
      shutdown: { soft: soft.signal, hard: new AbortController().signal },
      onOut(line) {
        lines.push((JSON.parse(line) as Told).stream);
        begun();
        if (wanted.every((stream) => lines.includes(stream))) soft.abort();
      },
    });
    await ready;
    const admin = openMessageDb({ uri: url, maxConnections: 1 }, { clock: systemClock, notice: () => undefined });
    const open = admin.transaction();
    await open.sql`select write_message(gen_random_uuid()::varchar, 'bookshelf::tail-late', 'Bookshelf.Late.v1', '{}')`;
    // Another category: one of the same would wait for the transaction.
    await store.append([anAppend({ id: 'q', stream: 'bookshelf::tail_quick-1', name: 'Quick' })]);
    await open.commit();
    await store.append([anAppend({ id: 'q2', stream: 'bookshelf::tail-quick', name: 'Quick' })]);
    const ran = await tailing;
    await admin.close();
    assert.equal(ran.code, 0, ran.err);
    assert.deepEqual(lines.slice(1), ['bookshelf::tail-late', 'bookshelf::tail_quick-1', 'bookshelf::tail-quick']);
  });

  it('says what is wrong with what it was told', async () => {
    assert.match((await events('')).err, /what of the events\? read, tail, history, trace/);
    assert.match((await events('raed order')).err, /there is no events raed: read, tail/);
    for (const line of ['read', 'history order', 'trace', 'read order more', 'read order --limit 0']) {
      const { code, err } = await events(line);
      assert.equal(code, 2, line);
      assert.match(err, /usage: domaind events /);
    }
    const help = await events('--help');
    assert.equal(help.code, 0);
    assert.match(help.out, /example: domaind events history order ord-1 --payload/);
  });

  it('says where there is nothing to read', async () => {
    const inMemory = await withFolder({ 'domain.toml': '[brokers.default]\nprovider = "inline"\n' }, (cwd) =>
      run(['events', 'read', '$all'], { cwd }),
    );
    assert.notEqual(inMemory.code, 0);
    assert.match(inMemory.err, /an event store of provider "memory" lives inside the daemon/);
    const away = await events('read $all', {
      environment: { STORE_URL: 'postgresql://message_store:pw-s3cr3t@127.0.0.1:1/x' },
    });
    assert.notEqual(away.code, 0);
    assert.match(away.err, /database "event store" cannot be reached/);
    assert.ok(!away.err.includes('pw-s3cr3t'));
  });
});
