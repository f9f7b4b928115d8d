import { databaseUrl, peerPackage, runPeer } from './peer.ts';

interface PgTransactionalOutbox {
  initializePollingMessageListener(
    config: object,
    handler: { handle(message: { readonly payload: object }): Promise<unknown> },
    logger: object,
    strategies: { batchSizeStrategy(): Promise<number> },
  ): unknown;
  getDisabledLogger(): object;
  readonly DatabaseSetupExporter: { createPollingScript(config: object, skipRoles: boolean): string };
}

interface Pg {
  readonly Client: new (
    options: object,
  ) => {
    connect(): Promise<void>;
    query(text: string, values?: readonly unknown[]): Promise<unknown>;
    end(): Promise<void>;
  };
}

const outbox = (await peerPackage('pg-transactional-outbox')) as PgTransactionalOutbox;
const { Client } = (await peerPackage('pg')) as Pg;
const batchSize = 100;

await runPeer({
  async fill(count) {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    await client.query(
      outbox.DatabaseSetupExporter.createPollingScript(
        {
          outboxOrInbox: 'outbox',
          database: new URL(databaseUrl).pathname.slice(1),
          schema: 'peer',
          table: 'outbox',
          listenerRole: 'postgres',
          nextMessagesName: 'next_outbox_messages',
        },
        true,
      ),
    );
    // Free to run in parallel: a message that must keep an order would come one at a time.
    await client.query(
      `insert into peer.outbox (id, aggregate_type, aggregate_id, message_type, concurrency, payload)
      select gen_random_uuid(), 'order', n::text, 'OrderPlaced', 'parallel', json_build_object('n', n, 'text', repeat('x', 480))
      from generate_series(1, $1::int) n`,
      [count],
    );
    await client.query('vacuum analyze peer.outbox');
    await client.end();
  },
  async work({ one }) {
    const connection = { connectionString: databaseUrl, max: 20 };
    outbox.initializePollingMessageListener(
      {
        outboxOrInbox: 'outbox',
        dbListenerConfig: connection,
        dbHandlerConfig: connection,
        settings: {
          dbSchema: 'peer',
          dbTable: 'outbox',
          nextMessagesFunctionSchema: 'peer',
          nextMessagesFunctionName: 'next_outbox_messages',
          nextMessagesBatchSize: batchSize,
          nextMessagesPollingIntervalInMs: 10,
          enableMaxAttemptsProtection: false,
          enablePoisonousMessageProtection: false,
        },
      },
      { handle: ({ payload }) => one(JSON.stringify(payload)) },
      outbox.getDisabledLogger(),
      { batchSizeStrategy: async () => batchSize },
    );
  },
});
