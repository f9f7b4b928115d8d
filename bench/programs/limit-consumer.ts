import { Redis } from 'ioredis';

/**
 * The least that any consumer could do through ioredis: read COUNT entries, parse them, and while that goes on have the
 * acknowledgement of the last batch and the request for the next under way in one round trip.
 */

const [stream = '', group = '', count = '100'] = process.argv.slice(2);
const redis = new Redis(process.env['REDIS_URL'] ?? '');
type Reply = [string, [string, string[]][]][] | null;

function request(acks: readonly string[]): Promise<Reply> {
  const pipeline = redis.pipeline();
  if (acks.length > 0) pipeline.xack(stream, group, ...acks);
  pipeline.xreadgroup('GROUP', group, 'hand', 'COUNT', Number(count), 'BLOCK', 5_000, 'STREAMS', stream, '>');
  return pipeline.exec().then((replies) => (replies?.at(-1)?.[1] ?? null) as Reply);
}

let seen = 0;
process.on('SIGTERM', () => process.exit(seen > 0 ? 0 : 1));
let acks: string[] = [];
let next = request(acks);
for (;;) {
  const entries = (await next)?.[0]?.[1] ?? [];
  next = request(acks);
  for (const [, fields] of entries) if (JSON.parse(fields[1] ?? '').metadata.headers.type !== '') seen += 1;
  acks = entries.map(([id]) => id);
}
