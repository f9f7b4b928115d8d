import type { Json, JsonObject } from '../message/message.ts';
import type { RowFacts, RowWithPayload, StatusCount } from '../outbox/outbox-admin.ts';
import { outboxStatuses } from '../outbox/outbox-admin.ts';
import { facts, table } from './listing.ts';
import type { Asked } from './outbox-asked.ts';
import { filterIn, idsIn, refuseSubjects, statusesIn, theOutbox } from './outbox-asked.ts';
import { span } from './spans.ts';

/** `domaind outbox list`: how many there are of each status, then the rows. */
export async function listOutbox(asked: Asked): Promise<number> {
  const { given, io, outboxes } = asked;
  refuseSubjects(asked);
  const statuses = statusesIn(asked, outboxStatuses) ?? (['failed', 'abandoned', 'pending'] as const);
  const filter = filterIn(asked);
  const limit = given.number('limit', 1) ?? 50;
  const found = await Promise.all(
    outboxes.map(async (outbox) => ({
      database: outbox.database,
      counts: await outbox.counts(),
      rows: await outbox.list(statuses, filter, limit),
    })),
  );
  if (given.flag('json')) {
    const json = found.map(({ database, counts, rows }) => ({
      database,
      counts: countsOf(counts),
      rows: rows.map(rowOf),
    }));
    io.out(JSON.stringify(json, null, 2));
    return 0;
  }
  for (const { database, counts, rows } of found) {
    const told = counts.map(({ status, count, estimated }) => `${estimated ? 'about ' : ''}${count} ${status}`);
    io.out(`${outboxes.length > 1 ? `database "${database}": ` : ''}${told.join(' · ')}`);
    if (rows.length > 0) {
      const cells = rows.map((row) => [
        row.id,
        row.status,
        span(row.ageMs),
        nameOf(row.type),
        row.stream,
        String(row.retryCount),
        errorOf(row.lastError) ?? '-',
      ]);
      io.out(`\n${table(io, ['ID', 'STATUS', 'AGE', 'TYPE', 'STREAM', 'TRIES', 'LAST ERROR'], cells)}`);
    }
    if (rows.length === limit) io.err(`the first ${limit}: --limit shows more`);
  }
  return 0;
}

/** `domaind outbox show ID`. */
export async function showOutbox(asked: Asked): Promise<number> {
  const { given, io, subjects } = asked;
  const rows = await theOutbox(asked).find(idsIn(asked));
  const withPayload = given.flag('payload');
  if (given.flag('json')) {
    const payload = ({ dataText, metadataText }: RowWithPayload) =>
      withPayload ? { data: JSON.parse(dataText) as Json, metadata: JSON.parse(metadataText) as Json } : {};
    io.out(
      JSON.stringify(
        rows.map((row) => ({ ...rowOf(row), ...payload(row) })),
        null,
        2,
      ),
    );
  } else {
    for (const [index, row] of rows.entries()) {
      if (index > 0) io.out('');
      showRow(asked, row);
      if (withPayload) io.out(`\n${pretty(row.dataText)}`);
    }
  }
  const missing = subjects.filter((id) => !rows.some((row) => row.id === id || row.messageId === id));
  for (const id of missing) io.err(`there is no row ${id}`);
  return missing.length === 0 ? 0 : 1;
}

function showRow({ io }: Asked, row: RowFacts): void {
  const error = row.lastError;
  facts(io, [
    ['row', row.id],
    ['message id', row.messageId],
    ['type', row.type],
    ['stream', row.stream],
    ['category', row.category],
    ['status', row.status],
    ['created', `${row.createdAt} (${span(row.ageMs)} ago)`],
    ...present('published', row.publishedAt),
    ...present('abandoned', row.abandonedAt),
    ...present('deliver at', row.deliverAt),
    ...present('next try', row.nextRetryAt),
    ['refused', `${row.retryCount} time${row.retryCount === 1 ? '' : 's'}`],
    ...(error === null
      ? []
      : ([
          ['last error', errorOf(error)],
          ['said at', textIn(error, 'time')],
        ] as const)),
    ['priority', String(row.priority)],
    ...present('partition key', row.partitionKey),
    ...present('target broker', row.targetBroker),
    ...present('correlation id', row.correlationId),
    ...present('causation id', row.causationId),
  ]);
}

const present = (name: string, value: string | null): readonly (readonly [string, string])[] =>
  value === null ? [] : [[name, value]];

/** A row in the JSON of every subcommand. */
export const rowOf = (row: RowFacts): JsonObject => ({
  id: row.id,
  message_id: row.messageId,
  type: row.type,
  stream: row.stream,
  category: row.category,
  status: row.status,
  priority: row.priority,
  partition_key: row.partitionKey,
  target_broker: row.targetBroker,
  correlation_id: row.correlationId,
  causation_id: row.causationId,
  retry_count: row.retryCount,
  next_retry_at: row.nextRetryAt,
  deliver_at: row.deliverAt,
  created_at: row.createdAt,
  published_at: row.publishedAt,
  abandoned_at: row.abandonedAt,
  age_ms: Math.round(row.ageMs),
  last_error: row.lastError,
});

const countsOf = (counts: readonly StatusCount[]): JsonObject => ({
  ...Object.fromEntries(counts.map(({ status, count }) => [status, count])),
  published_estimated: counts.some(({ estimated }) => estimated),
});

/** `Bookshelf.OrderPlaced.v1` → `OrderPlaced`. */
const nameOf = (type: string): string => type.split('.')[1] ?? type;

function errorOf(error: JsonObject | null): string | null {
  if (error === null) return null;
  const kind = textIn(error, 'code') ?? textIn(error, 'type') ?? 'error';
  return `${kind}: ${textIn(error, 'message') ?? ''}`;
}

function textIn(error: JsonObject, key: string): string | null {
  const value = error[key];
  return typeof value === 'string' ? value : null;
}

const pretty = (json: string): string => JSON.stringify(JSON.parse(json), null, 2);
