import { body, databaseUrl, peerPackage, runPeer } from './peer.ts';

interface Boss {
  start(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): void;
  createQueue(name: string): Promise<void>;
  purgeQueue(name: string): Promise<void>;
  insert(jobs: readonly object[]): Promise<unknown>;
  fetch(name: string, options: object): Promise<readonly { readonly id: string; readonly data: object }[]>;
  complete(name: string, ids: readonly string[]): Promise<unknown>;
  clearStorage(): Promise<void>;
  getDb(): { executeSql(text: string, values: readonly unknown[]): Promise<unknown> };
}

const { default: PgBoss } = (await peerPackage('pg-boss')) as { readonly default: new (options: object) => Boss };
const name = 'measured';
const [batchSize, loops] = [500, 3];

async function started(): Promise<Boss> {
  const boss = new PgBoss({ connectionString: databaseUrl, max: 10, supervise: false, schedule: false });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  return boss;
}

await runPeer({
  async fill(count) {
    const boss = await started();
    await boss.clearStorage();
    await boss.createQueue(name);
    for (let from = 0; from < count; from += 1_000) {
      const length = Math.min(1_000, count - from);
      await boss.insert(Array.from({ length }, (_, n) => ({ name, data: body(from + n) })));
    }
    await boss.getDb().executeSql('vacuum analyze pgboss.job', []);
  },
  async work({ batch }) {
    const boss = await started();
    // Its `work` waits half a second between batches; its fetch and complete need not.
    const loop = async () => {
      for (;;) {
        const jobs = await boss.fetch(name, { batchSize, priority: false });
        if (jobs.length === 0) return;
        await batch(jobs.map(({ data }) => JSON.stringify(data)));
        await boss.complete(
          name,
          jobs.map(({ id }) => id),
        );
      }
    };
    await Promise.all(Array.from({ length: loops }, loop));
  },
});
