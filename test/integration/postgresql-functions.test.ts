import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import type { Database } from '../../src/connection/database.ts';
import { composeBody, decode } from '../../src/message/codec.ts';
import type { NewMessage } from '../../src/message/compose.ts';
import { compose, externalMetadata } from '../../src/message/compose.ts';
import type { Json } from '../../src/message/message.ts';
import { writeMessages } from '../../src/outbox/postgresql-writing.ts';
import { aCommand, anEvent } from '../conformance/outbox.conformance.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';

let server: PostgresqlServer;
let url: string;
let database: Database;
before(async () => {
  server = await startPostgresql();
  url = await server.createDatabase();
  database = aDatabase(url);
  await setUp(database);
});
after(async () => {
  await database.close();
  await server.stop();
});

const psql = (sql: string) => server.psql(url, sql);
const write = (message: NewMessage) => database.bounded((sql) => writeMessages(sql, 'public', [message]));

/** The row as it is in the table. */
async function written(message: NewMessage, target = 'is null') {
  const [id] = await write(message);
  return stored(id, target);
}

async function stored(id: string | undefined, target = 'is null') {
  const row = `select row_to_json(o) from outbox o where message_id = '${id}' and target_broker ${target} order by id desc`;
  return JSON.parse((await psql(`${row} limit 1`)).replace(/\n/g, ''));
}

/** Every key, with its path; the elements of arrays and what is below a null do not count. */
function keysOf(value: Json | undefined, path = ''): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${path}${key}`, ...keysOf(inner as Json, `${path}${key}.`)]);
}

async function capturedMetadata(stream: string, file = 'events-and-commands'): Promise<Json> {
  const captured = JSON.parse(await readFile(new URL(`../fixtures/wire/${file}.json`, import.meta.url), 'utf8'));
  return JSON.parse(captured[stream].entries[0].fields.data).metadata;
}

describe('the SQL functions and the composing in memory', () => {
  const full = {
    version: 2,
    priority: -50,
    partition_key: 'berlin',
    correlation_id: 'c',
    causation_id: 'd',
    traceparent: { trace_id: 'a'.repeat(32), parent_id: 'b'.repeat(16), sampled: true },
    deadline: '2026-12-24T18:00:00.5+01:00',
    expected_version: 3,
    extensions: { tenant: 'a', nothing: null },
  };
  const messages: readonly (readonly [string, NewMessage])[] = [
    ['an event', anEvent('o-1', 1)],
    ['an event with every option', anEvent('o-1', 1, { ...full, aggregate_version: 7, sequence: 2, published: true })],
    ['an event with an id of its own', anEvent('o-1', 1, { message_id: 'mine' })],
    ['an event of another domain', { ...anEvent('o-1', 1), category: 'warehouse::stock' }],
    ['a command', aCommand(1)],
    ['a command with every option', { ...aCommand(1, full), id: 'o-1' }],
    ['a command with an idempotency key', aCommand(1, { idempotency_key: 'ü-1' })],
    ['a command with an id of its own', aCommand(1, { message_id: 'mine' })],
  ];
  for (const [what, message] of messages) {
    it(`make the same of ${what}`, async () => {
      const row = await written(message);
      const { headers, domain } = row.metadata;
      const sequence = (domain.sequence_id ?? '0.0').split('.')[1];
      const facts = { normalized: 'bookshelf', camel: 'Bookshelf', time: headers.time, uuid: headers.id, sequence };
      const composed = compose(message, facts);
      assert.deepEqual(row.metadata, composed.metadata);
      assert.equal(row.message_id, composed.messageId);
      assert.equal(row.stream_name, composed.stream);
      assert.equal(row.category, composed.category);
      assert.equal(row.type, composed.type);
      const { priority, correlation_id, causation_id } = composed.metadata.domain;
      assert.deepEqual(
        [row.priority, row.correlation_id, row.causation_id, row.partition_key],
        [priority, correlation_id, causation_id, message.options['partition_key'] ?? null],
      );
    });
  }

  it('make the same of what goes to an external broker', async () => {
    for (const options of [{}, full]) {
      const message = anEvent('o-9', 1, { ...options, published: true, sequence: 1 });
      const [id] = await write(message);
      const [own, external] = [await stored(id), await stored(id, `= 'partner'`)];
      assert.deepEqual(external.metadata, externalMetadata(own.metadata));
      assert.equal(external.partition_key, null);
    }
  });
});

describe('a message that the SQL functions write', () => {
  const keys = async (stream: string, file?: string) => keysOf(await capturedMetadata(stream, file)).toSorted();

  it('has the keys of those that the Python side writes', async () => {
    assert.deepEqual(keysOf((await written(anEvent('o-1', 1))).metadata).toSorted(), await keys('bookshelf::book'));
    assert.deepEqual(keysOf((await written(aCommand(1))).metadata).toSorted(), await keys('bookshelf::book:command'));
    const external = await written(anEvent('o-1', 1, { published: true }), `= 'partner'`);
    const captured = await keys('db5:orders::order', 'partitions-lanes-external');
    assert.deepEqual(keysOf(external.metadata).toSorted(), captured);
  });

  it('has a time in microseconds and UTC, whatever the session’s time zone', async () => {
    await psql(`set timezone = 'Asia/Tokyo'; select outbox_raise_event('Timed', 'order', 'tz', '{}')`);
    const time = await psql(`select metadata #>> '{headers,time}' from outbox where type like '%Timed%'`);
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  });

  it('can be decoded', async () => {
    const row = await written(anEvent('o-1', 5));
    const message = decode(composeBody(JSON.stringify(row.data), JSON.stringify(row.metadata)));
    assert.deepEqual([message.name, message.category, message.data], ['OrderPlaced', 'bookshelf::order', { n: 5 }]);
  });

  it('has an id that no other has, also within one transaction', async () => {
    const ids = await psql(
      `select outbox_raise_event('Many', 'order', 'same', '{}') from generate_series(1, 2000);
       select outbox_process_command('Many', 'order', '{}') from generate_series(1, 2000)`,
    );
    assert.equal(new Set(ids.split('\n')).size, 4_000);
  });

  it('is gone when its transaction is rolled back', async () => {
    await psql(`begin; select outbox_raise_event('Undone', 'order', 'o-1', '{}'); rollback`);
    assert.equal(await psql(`select count(*) from outbox where type like '%Undone%'`), '0');
  });

  it('takes arguments by name, and null for options that are not given', async () => {
    const id = await psql(
      `select outbox_raise_event(type => 'Named', category => 'order', id => 'o-1', data => '{}',
         options => '{"version":null,"extensions":null,"traceparent":null,"published":null,"message_id":null}')`,
    );
    assert.match(id, /^bookshelf::order-o-1-0\.\d+$/);
    assert.match(await psql(`select outbox_raise_event('Named', 'order', 'o-1', '{}', null)`), /^bookshelf::order-o-1/);
  });

  it('is written also where the search path leads elsewhere', async () => {
    const elsewhere = `create schema trap; create function trap.jsonb_typeof(jsonb) returns text language sql as 'select null::text';
      create table trap.outbox (id int); set search_path = trap`;
    const id = await psql(
      `${elsewhere}; select public.outbox_raise_event('Safe', 'order', 'o-1', '{}', '{"version":2}')`,
    );
    assert.equal(await psql(`select count(*) from public.outbox where message_id = '${id}'`), '1');
  });
});

describe('the SQL functions refuse, and say what', () => {
  const raised = (options: string) => `outbox_raise_event('OrderPlaced', 'order', 'o-1', '{}', '${options}')`;
  const refusals: readonly (readonly [string, RegExp])[] = [
    [raised('{"versio":2}'), /outbox_raise_event: unknown option "versio"; known are version, priority, .*sequence/],
    [raised('{"id":"x"}'), /unknown option "id"/],
    [
      `outbox_process_command('A', 'order', '{}', '{"published":true}')`,
      /outbox_process_command: unknown option "publ/,
    ],
    [raised('[]'), /options must be a JSON object/],
    [raised('{"version":0}'), /option "version" must be from 1 to 999999999/],
    [raised('{"version":1.5}'), /option "version" must be a whole number/],
    [raised('{"version":"1"}'), /option "version" must be a whole number/],
    [raised('{"priority":2147483648}'), /option "priority" must be from -2147483648 to 2147483647/],
    [raised('{"aggregate_version":-1}'), /option "aggregate_version" must be from 0/],
    [raised('{"published":"yes"}'), /option "published" must be true or false/],
    [raised('{"extensions":[]}'), /option "extensions" must be an object/],
    [raised('{"traceparent":"00-a-b-01"}'), /option "traceparent" must be an object with trace_id/],
    [raised('{"traceparent":{"trace_id":"a"}}'), /option "traceparent" must be an object with trace_id/],
    [raised('{"correlation_id":""}'), /option "correlation_id" must be a text that is not empty/],
    [raised('{"deliver_at":"tomorrow"}'), /option "deliver_at" must be a time in ISO-8601 with its zone/],
    [raised('{"deliver_at":"2026-12-24T18:00:00"}'), /option "deliver_at" must be a time in ISO-8601 with its zone/],
    [raised('{"deadline":"2026-02-30T00:00:00Z"}'), /option "deadline" must be a time that exists/],
    [raised('{"partition_key":"a:b"}'), /option "partition_key" must be/],
    [raised('{"partition_key":"dlq"}'), /option "partition_key" must be/],
    [`outbox_raise_event('Order Placed', 'order', 'o-1', '{}')`, /type must be named like OrderPlaced/],
    [`outbox_raise_event(null, 'order', 'o-1', '{}')`, /type must be named like OrderPlaced/],
    [`outbox_raise_event('OrderPlaced', 'or-der', 'o-1', '{}')`, /category must be named like order/],
    [`outbox_raise_event('OrderPlaced', 'order', '', '{}')`, /id must have 1 to 512 characters/],
    [`outbox_raise_event('OrderPlaced', 'order', null, '{}')`, /id must have 1 to 512 characters/],
    [`outbox_raise_event('OrderPlaced', 'order', 'o-1', '[1]')`, /data must be a JSON object/],
    [`outbox_process_command('A', 'order', null)`, /outbox_process_command: data must be a JSON object/],
  ];
  for (const [call, message] of refusals) {
    it(call, () => assert.rejects(psql(`select ${call}`), message));
  }

  it('and leave no row behind', async () => {
    assert.equal(
      await psql(`select count(*) from outbox where stream_name = 'bookshelf::order-' or type is null`),
      '0',
    );
  });
});

describe('the outbox of a role with few rights', () => {
  it('takes messages from one that may insert, use the sequence and read the settings', async () => {
    await psql(`create role writer login password 'w';
      grant insert on outbox to writer; grant usage on sequence outbox_id_seq to writer; grant select on outbox_setting to writer`);
    const asWriter = new URL(url);
    asWriter.username = 'writer';
    asWriter.password = 'w';
    const call = `select outbox_raise_event('OrderPlaced', 'order', 'o-1', '{}', '{"published":true}')`;
    assert.match(await server.psql(asWriter.href, call), /^bookshelf::order-o-1/);
    await assert.rejects(server.psql(asWriter.href, 'select * from outbox'), /permission denied/);
    await psql('drop owned by writer; drop role writer');
  });
});

describe('a row written by hand', () => {
  const insert = (metadata: string, more = '', values = '') =>
    psql(`insert into outbox (message_id, stream_name, category, type, data, metadata${more})
      values ('m', 'bookshelf::order-1', 'bookshelf::order', 'Bookshelf.A.v1', '{}', '${metadata}'${values})`);

  it('is taken where its metadata is of the message', async () => {
    await insert('{"headers":{"id":"m"}}');
    assert.equal(await psql(`select bucket between 0 and 1023 from outbox where message_id = 'm'`), 't');
  });

  it('is refused where no consumer could read it, or no relay would look for it', async () => {
    await assert.rejects(insert('{}'), /outbox_metadata/);
    await assert.rejects(insert('{"headers":{"id":"other"}}'), /outbox_metadata/);
    await assert.rejects(insert('{"headers":{"id":"m"}}', ', status', `, 'Pending'`), /outbox_status/);
    await assert.rejects(psql(`insert into outbox (message_id) values ('m')`), /null value in column/);
  });
});
