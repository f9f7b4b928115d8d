import { body, peerPackage, redisUrl, runPeer } from './peer.ts';

interface BullMq {
  readonly Queue: new (
    name: string,
    options: object,
  ) => {
    obliterate(options: object): Promise<void>;
    addBulk(jobs: readonly object[]): Promise<unknown>;
    close(): Promise<void>;
  };
  readonly Worker: new (
    name: string,
    handle: (job: { readonly data: object }) => Promise<void>,
    options: object,
  ) => unknown;
}

const { Queue, Worker } = (await peerPackage('bullmq')) as BullMq;
const name = 'measured';
const connection = { host: redisUrl.hostname, port: Number(redisUrl.port), maxRetriesPerRequest: null };

await runPeer({
  async fill(count) {
    const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } });
    await queue.obliterate({ force: true });
    for (let from = 0; from < count; from += 1_000) {
      const jobs = Array.from({ length: Math.min(1_000, count - from) }, (_, n) => ({ name, data: body(from + n) }));
      await queue.addBulk(jobs);
    }
  },
  async work({ one }) {
    // Metrics and events off; as many at once as it gains from.
    new Worker(name, ({ data }) => one(JSON.stringify(data)) as Promise<void>, {
      connection,
      concurrency: 200,
      removeOnComplete: { count: 0 },
    });
  },
});
