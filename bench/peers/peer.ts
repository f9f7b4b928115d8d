import { Redis } from 'ioredis';

/**
 * What every peer's program is told: `fill COUNT`, to make jobs of a fresh beginning, `relay`, to put each job's payload
 * on a stream, or `no-op`, to do nothing with it. Servers are named by DATABASE_URL and REDIS_URL.
 */
export interface Peer {
  readonly fill: (count: number) => Promise<void>;
  readonly work: (task: Task) => Promise<void>;
}

/** What is done with a batch of payloads. Both forms are counted once they have ended. */
export interface Task {
  readonly one: (payload: string) => Promise<unknown>;
  readonly batch: (payloads: readonly string[]) => Promise<unknown>;
}

export const databaseUrl = process.env['DATABASE_URL'] ?? '';
export const redisUrl = new URL(process.env['REDIS_URL'] ?? 'redis://127.0.0.1');
const stream = 'bench::order';

/** A payload of 500 bytes, as an object and as text. */
export const body = (n: number): { readonly n: number; readonly text: string } => ({ n, text: 'x'.repeat(480) });

/** Runs one phase of a peer. Work goes on until the process is ended; how far it is, is said every few milliseconds. */
export async function runPeer(peer: Peer): Promise<void> {
  const [phase, count = '0'] = process.argv.slice(2);
  if (phase === 'fill') {
    await peer.fill(Number(count));
    process.exit(0);
  }
  process.on('SIGTERM', () => process.exit(0));
  const { task, done } = counted(phase === 'relay' ? publishing() : nothing);
  setInterval(() => process.stdout.write(`done ${done()}\n`), 10);
  await peer.work(task);
}

const nothing: Task = { one: async () => undefined, batch: async () => undefined };

/** Single entries are pipelined by the client, as many as there are in one turn of the event loop. */
function publishing(): Task {
  const redis = new Redis(redisUrl.href, { enableAutoPipelining: true });
  return {
    one: (payload) => redis.xadd(stream, '*', 'data', payload),
    async batch(payloads) {
      const pipeline = redis.pipeline();
      for (const payload of payloads) pipeline.xadd(stream, '*', 'data', payload);
      await pipeline.exec();
    },
  };
}

function counted(task: Task): { readonly task: Task; readonly done: () => number } {
  let done = 0;
  return {
    done: () => done,
    task: {
      async one(payload) {
        await task.one(payload);
        done += 1;
      },
      async batch(payloads) {
        await task.batch(payloads);
        done += payloads.length;
      },
    },
  };
}

/** A package of bench/peers, which is installed apart: `npm ci --prefix bench/peers`. */
export async function peerPackage(name: string): Promise<unknown> {
  return import(name);
}
