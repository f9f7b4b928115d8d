import { after, before } from 'node:test';
import type { Database } from '../../src/connection/database.ts';
import { createPostgresqlLeases } from '../../src/outbox/postgresql-lease.ts';
import { createPostgresqlOutbox } from '../../src/outbox/postgresql-outbox.ts';
import { writeMessages } from '../../src/outbox/postgresql-writing.ts';
import { aDatabase, anOutboxConfig, passTime, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { leaseConformance } from './lease.conformance.ts';
import { outboxConformance } from './outbox.conformance.ts';

let server: PostgresqlServer;
const open: Database[] = [];
before(async () => {
  server = await startPostgresql();
});
after(async () => {
  await Promise.all(open.map((database) => database.close()));
  await server.stop();
});

async function anOutbox(shards = 1): Promise<Database> {
  // Of the test before, which is over.
  await Promise.all(open.splice(0).map((database) => database.close()));
  const database = aDatabase(await server.createDatabase());
  open.push(database);
  await setUp(database, { shards });
  return database;
}

leaseConformance('postgresql', async () => {
  const database = await anOutbox();
  return {
    leases: createPostgresqlLeases(database),
    pass: (ms) => passTime(database, ms),
    close: async () => undefined,
  };
});

for (const keepsPublished of [true, false]) {
  outboxConformance(`postgresql, published rows ${keepsPublished ? 'kept' : 'deleted'}`, {
    keepsPublished,
    close: async () => undefined,
    async create({ ordering, shards }) {
      const database = await anOutbox(shards);
      const config = anOutboxConfig({ ordering, maxMessageBytes: 4_000, retention: keepsPublished ? 3_600_000 : 0 });
      return {
        store: createPostgresqlOutbox(config, { database, emit: () => undefined }),
        add: (...messages) => database.bounded((sql) => writeMessages(sql, database.schema, messages)),
        pass: (ms) => passTime(database, ms),
      };
    },
  });
}
