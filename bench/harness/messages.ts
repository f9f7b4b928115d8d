import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';

export const domain = 'bench';
export const category = 'order';
export const stream = `${domain}::${category}`;
/** Aggregates that the messages are spread over. */
export const aggregates = 1_000;

/** A payload of so many bytes as JSON: `{"n":…,"text":"…"}`. */
export function payload(n: number, bytes = 500): string {
  const start = `{"n":${n},"text":"`;
  return `${start}${'x'.repeat(Math.max(0, bytes - start.length - 2))}"}`;
}

/**
 * Writes `count` events with the SQL function, in one transaction, and keeps them in the table `bench_row`, from which
 * `refill` takes them each time.
 */
export async function prepareRows(sql: Sql, count: number, bytes = 500): Promise<void> {
  await sql`truncate outbox restart identity`;
  const filler = bytes - 30;
  await sql`
    select count(outbox_raise_event('OrderPlaced', ${category}, 'ord-' || (n % ${aggregates}::int),
      json_build_object('n', n, 'text', repeat('x', ${filler}::int))))
    from generate_series(1, ${count}::int) n`;
  await sql`drop table if exists bench_row`;
  await sql`create table bench_row as
    select id, message_id, stream_name, category, type, data, metadata from outbox`;
  await sql`truncate outbox`;
}

/** Puts the first `count` of them into the outbox, pending, in one transaction. */
export async function addRows(sql: Sql, count: number): Promise<void> {
  await sql`
    insert into outbox (message_id, stream_name, category, type, data, metadata)
    select message_id, stream_name, category, type, data, metadata from bench_row order by id limit ${count}`;
}

/** The outbox with the first `count` of them and nothing else, and the server with nothing left to do. */
export async function refill(sql: Sql, count: number): Promise<void> {
  await sql`truncate outbox restart identity`;
  await addRows(sql, count);
  await settle(sql);
}

/** Work that the server would else do while something is measured. */
export async function settle(sql: Sql): Promise<void> {
  await sql`vacuum analyze outbox`;
  await sql`checkpoint`;
}

/** As many events on the stream as the relay would put there. */
export async function fillStream(redis: Redis, count: number, bytes = 500): Promise<void> {
  await redis.flushall();
  for (let from = 1; from <= count; from += 500) {
    const pipeline = redis.pipeline();
    for (let n = from; n < Math.min(from + 500, count + 1); n += 1) pipeline.xadd(stream, '*', 'data', entry(n, bytes));
    await pipeline.exec();
  }
}

/** The body of an entry, with all that metadata holds on the wire. */
export function entry(n: number, bytes = 500): string {
  const id = `${stream}-ord-${n % aggregates}`;
  const sequence = `0.${n}`;
  const metadata = {
    headers: {
      id: `${id}-${sequence}`,
      time: new Date().toISOString().replace('Z', '000+00:00'),
      type: 'Bench.OrderPlaced.v1',
      stream: id,
      traceparent: null,
      idempotency_key: null,
      deadline: null,
    },
    envelope: { specversion: '1.0', checksum: null },
    domain: {
      fqn: 'bench.OrderPlaced',
      kind: 'EVENT',
      origin_stream: null,
      stream_category: stream,
      version: 1,
      sequence_id: sequence,
      asynchronous: true,
      expected_version: null,
      priority: 0,
      correlation_id: null,
      causation_id: null,
    },
    event_store: null,
    extensions: {},
  };
  return `{"data": ${payload(n, bytes)}, "metadata": ${JSON.stringify(metadata)}}`;
}
