import { createPostgresqlPositions } from '../../src/event-store/postgresql-positions.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { positionsConformance } from './positions.conformance.ts';

positionsConformance('PostgreSQL', async () => {
  const server = await startPostgresql();
  const database = aDatabase(await server.createDatabase());
  await setUp(database);
  const positions = createPostgresqlPositions(database);
  return {
    positions,
    async record(subscription, token, receipt) {
      const transaction = database.transaction();
      const outcome = await positions.record(transaction.sql, subscription, token, receipt);
      await transaction.commit();
      return outcome;
    },
    async reset(subscription, token, position) {
      const transaction = database.transaction();
      await positions.reset(transaction.sql, subscription, token, position);
      await transaction.commit();
    },
    async close() {
      await database.close();
      await server.stop();
    },
  };
});
