import type { TransactionSql } from 'postgres';
import type { JsonObject } from '../message/message.ts';
import { checkDocumentId, documentText } from './document.ts';
import type { Collection } from './handler.ts';

export interface DocumentDeps {
  /** The handler's transaction. */
  readonly sql: TransactionSql;
  readonly schema: string;
  /** Documents that this transaction has read, and so has locked. */
  readonly held: Set<string>;
  /** Throws where the unit of work has ended. */
  readonly open: () => void;
  /** Gives the errors of a statement of domaind's own their meaning. */
  readonly ours: <T>(statement: PromiseLike<T>) => Promise<T>;
}

interface Row {
  readonly id: string;
  readonly value: JsonObject;
}

/**
 * Documents in the table `document`. One that is there is locked by its row. One that is not yet has no row to lock:
 * then a lock on its name stands in, which whoever writes it unseen takes too. Either way the second of two handlers
 * that read, change and write back waits for the first, and reads what that one wrote. The lock on the name is always
 * taken before that on the row, never after it: two handlers of one document cannot wait for each other.
 */
export function postgresqlCollection(collection: string, { sql, schema, held, open, ours }: DocumentDeps): Collection {
  const table = () => sql`${sql(schema)}.document`;
  const keyOf = (id: string) => `${collection} ${id}`;
  const lockOf = (id: string) => sql`pg_advisory_xact_lock(hashtextextended(${keyOf(id)}, 0))`;
  const select = (id: string) =>
    ours(sql<Row[]>`select id, value from ${table()} where collection = ${collection} and id = ${id} for update`);

  return {
    async get(id) {
      checkDocumentId(id);
      open();
      const [row] = await select(id);
      if (row === undefined) await ours(sql`select ${lockOf(id)}`);
      held.add(keyOf(id));
      if (row !== undefined) return row.value;
      // A statement of its own: one sees what was committed when it began, so the one that waited would see too little.
      const [written] = await select(id);
      return written?.value ?? null;
    },
    async put(id, value) {
      checkDocumentId(id);
      const text = documentText(collection, id, value);
      open();
      await ours(sql`
        with lock as materialized (select ${held.has(keyOf(id)) ? sql`` : lockOf(id)})
        insert into ${table()} (collection, id, value)
        select ${collection}, ${id}, ${text}::text::jsonb from lock
        on conflict (collection, id) do update set value = excluded.value`);
    },
    async delete(id) {
      checkDocumentId(id);
      open();
      await ours(sql`delete from ${table()} where collection = ${collection} and id = ${id}`);
    },
    async list() {
      open();
      const rows = await ours(
        sql<Row[]>`select id, value from ${table()} where collection = ${collection} order by id collate "C"`,
      );
      return rows.map(({ id, value }) => ({ id, value }));
    },
  };
}
