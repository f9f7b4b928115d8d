import type { OutboxConfig } from '../../src/config/config.ts';
import type { Database } from '../../src/connection/database.ts';
import type { PostgresqlConfig } from '../../src/connection/postgresql.ts';
import { openDatabase } from '../../src/connection/postgresql.ts';
import type { SetupOptions, SetupReport } from '../../src/outbox/schema/setup.ts';
import { setupDatabase } from '../../src/outbox/schema/setup.ts';

/** A database of the name `default`, with the limits of a test. */
export const aDatabase = (uri: string, more: Partial<PostgresqlConfig> = {}): Database =>
  openDatabase(
    {
      provider: 'postgresql',
      name: 'default',
      uri,
      directUri: null,
      schema: 'public',
      poolSize: 4,
      maxOverflow: 4,
      connectTimeoutMs: 10_000,
      statementTimeoutMs: 20_000,
      ...more,
    },
    { notice: () => undefined },
  );

/** Set up for the domain `bookshelf`, which has an external broker `partner`. */
export const setUp = (database: Database, more: Partial<SetupOptions> = {}): Promise<SetupReport> =>
  setupDatabase(database, {
    normalized: 'bookshelf',
    camel: 'Bookshelf',
    externalBrokers: ['partner'],
    shards: null,
    ...more,
  });

/** Lets time go by for everything that the database has written down: it has no other clock than its own. */
export async function passTime(database: Database, ms: number): Promise<void> {
  const { schema } = database;
  const later = (column: string) => `${column} = ${column} - ${ms} * interval '1 millisecond'`;
  const times = ['created_at', 'published_at', 'abandoned_at', 'next_retry_at', 'deliver_at'];
  await database.bounded((sql) => sql.unsafe(`update "${schema}".outbox set ${times.map(later).join(', ')}`));
  await database.bounded((sql) => sql.unsafe(`update "${schema}".lease set ${later('expires_at')}`));
}

export interface OutboxChanges {
  readonly ordering?: 'stream' | 'none';
  readonly maxMessageBytes?: number;
  readonly maxBatchBytes?: number;
  /** How long published rows are kept; 0: not at all. */
  readonly retention?: number;
}

export const anOutboxConfig = ({
  ordering = 'stream',
  maxMessageBytes = 1_000_000,
  maxBatchBytes = 8_000_000,
  retention = 3_600_000,
}: OutboxChanges = {}): OutboxConfig => ({
  broker: 'default',
  externalBrokers: ['partner'],
  batchSize: 100,
  pollEveryMs: 1_000,
  maxPollEveryMs: 1_000,
  ordering,
  retry: { maxAttempts: 3, backoff: { baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0 } },
  cleanup: { publishedRetentionMs: retention, abandonedRetentionMs: 3_600_000, batchSize: 100, everyMs: 60_000 },
  maxMessageBytes,
  maxBatchBytes,
  lease: { ttlMs: 15_000, renewEveryMs: 4_000, marginMs: 2_000 },
  lanes: null,
  publishWait: null,
  hint: false,
});
