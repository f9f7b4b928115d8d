import type { Database } from '../connection/database.ts';
import type { Inbox } from './inbox.ts';

/** The table `inbox` of a database. */
export const createPostgresqlInbox = (database: Database): Inbox => ({
  database: database.name,
  async purge(olderThanMs, limit) {
    const deleted = await database.bounded((sql) => {
      const inbox = sql`${sql(database.schema)}.inbox`;
      // now(), which stands still for a statement: clock_timestamp() would keep the index from being used.
      return sql`
        with old as materialized (
          select message_id, handler from ${inbox}
          where processed_at < now() - ${olderThanMs}::float8 * interval '1 millisecond'
          order by processed_at limit ${limit} for update skip locked
        )
        delete from ${inbox} i using old where i.message_id = old.message_id and i.handler = old.handler`;
    });
    return deleted.count;
  },
});
