import { Redis } from 'ioredis';
import postgres from 'postgres';

/**
 * By hand: each message's inbox row and its own row in a transaction, as many at a time as there are connections, and
 * each batch acknowledged when all of it is committed.
 */

const [stream = '', group = '', count = '100', connections = '10'] = process.argv.slice(2);
const redis = new Redis(process.env['REDIS_URL'] ?? '');
const sql = postgres(process.env['DATABASE_URL'] ?? '', { max: Number(connections) });
type Reply = [string, [string, string[]][]][] | null;

function request(): Promise<Reply> {
  return redis.xreadgroup(
    'GROUP',
    group,
    'hand',
    'COUNT',
    Number(count),
    'BLOCK',
    5_000,
    'STREAMS',
    stream,
    '>',
  ) as Promise<Reply>;
}

async function handle(body: string): Promise<void> {
  const { data, metadata } = JSON.parse(body);
  await sql.begin(async (tx) => {
    await tx`insert into inbox (message_id, handler) values (${metadata.headers.id}, 'hand') on conflict do nothing`;
    await tx`insert into effect (n) values (${data.n})`;
  });
}

async function handleAll(entries: readonly [string, string[]][]): Promise<void> {
  await Promise.all(entries.map(([, fields]) => handle(fields[1] ?? '')));
  if (entries.length > 0) await redis.xack(stream, group, ...entries.map(([id]) => id));
}

process.on('SIGTERM', () => process.exit(0));
let next = request();
let before = Promise.resolve();
for (;;) {
  const entries = (await next)?.[0]?.[1] ?? [];
  next = request();
  // Two batches at a time, so that no connection waits for the last of one.
  const current = handleAll(entries);
  await before;
  before = current;
}
