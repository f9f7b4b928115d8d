import type { Redis } from 'ioredis';

/** Entries that were ever added to a stream; 0 where there is none. Trimming does not change it. */
export async function entriesAdded(redis: Redis, stream: string): Promise<number> {
  try {
    return field(await redis.xinfo('STREAM', stream), 'entries-added');
  } catch (error) {
    if (error instanceof Error && error.message.includes('no such key')) return 0;
    throw error;
  }
}

/** Entries that a group has acknowledged. The group must be there. */
export async function acknowledged(redis: Redis, stream: string, group: string): Promise<number> {
  const groups = (await redis.xinfo('GROUPS', stream)) as unknown[];
  const found = groups.find((each) => Array.isArray(each) && each[1] === group);
  return field(found, 'entries-read') - field(found, 'pending');
}

function field(reply: unknown, name: string): number {
  if (!Array.isArray(reply)) return 0;
  return Number(reply[reply.indexOf(name) + 1] ?? 0);
}
