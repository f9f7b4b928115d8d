import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { blocksIn, placeOf } from './markdown.ts';

/** Tables of the applications that the documents speak of. */
const application = `
  create table orders (id text, customer text);
  create table shop_order (id text, customer text);`;

describe('SQL in the documents', () => {
  let server: PostgresqlServer;
  before(async () => {
    server = await startPostgresql();
  });
  after(() => server?.stop());

  for (const block of blocksIn('sql')) {
    it(`runs on a database that is set up: ${placeOf(block)}`, async () => {
      const url = await server.createDatabase();
      const database = aDatabase(url);
      await setUp(database);
      await database.close();
      await server.psql(url, application);
      await server.psql(url, block.text);
      if (/outbox_(raise|process)/.test(block.text)) {
        assert.notEqual(await server.psql(url, 'select count(*) from outbox'), '0');
      }
    });
  }
});
