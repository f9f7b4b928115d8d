import { body, databaseUrl, peerPackage, runPeer } from './peer.ts';

interface GraphileWorker {
  makeWorkerUtils(options: object): Promise<{
    migrate(): Promise<void>;
    addJobs(jobs: readonly object[]): Promise<unknown>;
    withPgClient(work: (client: { query(text: string): Promise<unknown> }) => Promise<void>): Promise<void>;
  }>;
  run(options: object): Promise<unknown>;
  readonly Logger: new (factory: () => () => void) => object;
}

const { makeWorkerUtils, run, Logger } = (await peerPackage('graphile-worker')) as GraphileWorker;
const identifier = 'measured';
const logger = new Logger(() => () => undefined);

await runPeer({
  async fill(count) {
    const utils = await makeWorkerUtils({ connectionString: databaseUrl, logger });
    await utils.migrate();
    await utils.withPgClient(async (client) => {
      await client.query('truncate graphile_worker._private_jobs');
    });
    for (let from = 0; from < count; from += 1_000) {
      const length = Math.min(1_000, count - from);
      await utils.addJobs(Array.from({ length }, (_, n) => ({ identifier, payload: body(from + n) })));
    }
    await utils.withPgClient(async (client) => {
      await client.query('vacuum analyze graphile_worker._private_jobs');
    });
  },
  async work({ one }) {
    await run({
      connectionString: databaseUrl,
      logger,
      noHandleSignals: true,
      maxPoolSize: 10,
      concurrency: 100,
      preset: { worker: { localQueue: { size: 1_000 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      taskList: { [identifier]: (payload: object) => one(JSON.stringify(payload)) },
    });
  },
});
