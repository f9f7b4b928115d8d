import { Redis } from 'ioredis';
import postgres from 'postgres';

/**
 * The least that any relay could do with this table and this Redis: no lease, no retry, no order after a refusal, no
 * telemetry. Select a batch by the partial index, append it with one script call, mark it with one UPDATE.
 *
 *   sequential   one after the other
 *   overlapped   while batch n is appended, n+1 is selected; while n is marked, n+1 is appended
 */

const batch = 500;
const [mode] = process.argv.slice(2);
const sql = postgres(process.env['DATABASE_URL'] ?? '', { max: 3 });
const redis = new Redis(process.env['REDIS_URL'] ?? '');
redis.defineCommand('appendAll', {
  lua: `for index = 1, #ARGV, 2 do redis.call('XADD', ARGV[index], '*', 'data', ARGV[index + 1]) end`,
  numberOfKeys: 0,
});
const appendAll = (redis as unknown as { appendAll(args: readonly string[]): Promise<unknown> }).appendAll.bind(redis);

interface Row {
  readonly id: string;
  readonly category: string;
  readonly data: string;
  readonly metadata: string;
}

const select = (after: string) => sql<Row[]>`
  select id, category, data::text, metadata::text from outbox
  where status = 'pending' and deliver_at is null and priority = 0 and target_broker is null and id > ${after}::bigint
  order by id limit ${batch}`;

const append = (rows: readonly Row[]) =>
  appendAll(rows.flatMap(({ category, data, metadata }) => [category, `{"data": ${data}, "metadata": ${metadata}}`]));

const mark = (rows: readonly Row[]) => sql`
  update outbox set status = 'published', published_at = clock_timestamp()
  where id = any(${`{${rows.map(({ id }) => id).join(',')}}`}::text::bigint[])`;

async function sequential(): Promise<void> {
  for (;;) {
    const rows = await select('0');
    if (rows.length === 0) return;
    await append(rows);
    await mark(rows);
  }
}

async function overlapped(): Promise<void> {
  let marking: Promise<unknown> = Promise.resolve();
  let next: Promise<Row[]> = select('0').execute();
  for (;;) {
    const rows = await next;
    if (rows.length === 0) break;
    next = select(rows.at(-1)?.id ?? '0').execute();
    await append(rows);
    await marking;
    marking = mark(rows).execute();
  }
  await marking;
}

await (mode === 'sequential' ? sequential() : overlapped());
process.on('SIGTERM', () => process.exit(0));
// The bench looks at the stream from outside, and ends this process when it has seen enough.
setInterval(() => undefined, 60_000);
