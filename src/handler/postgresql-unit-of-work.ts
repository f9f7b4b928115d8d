import { randomUUID } from 'node:crypto';
import type { TransactionSql } from 'postgres';
import type { Database } from '../connection/database.ts';
import { toDatabaseError } from '../connection/errors-of-postgresql.ts';
import type { Aggregates, AskedAppend, RunText } from '../message/aggregate.ts';
import { raisedAppend } from '../message/aggregate.ts';
import { outboxCall, outboxParameters } from '../message/outbox-call.ts';
import { ConcurrencyError, MisconfiguredError, UnavailableError } from '../runtime/errors.ts';
import { checkCollectionName } from './document.ts';
import { postgresqlCollection } from './postgresql-documents.ts';
import type { Raised } from './raised.ts';
import type { Occasion, Receipts, UnitOfWork, UnitOfWorkState, UnitsOfWork } from './unit-of-work.ts';
import {
  appendSeed,
  ClosedError,
  DuplicateError,
  firstOfEach,
  inboxKey,
  noEventStore,
  noOutbox,
  takenMeanwhile,
} from './unit-of-work.ts';

export interface PostgresqlUnitsOfWorkConfig {
  /** Whether handlers may raise: the database has an outbox that is relayed. */
  readonly outbox: boolean;
  /** Left out: handlers may neither append nor load. */
  readonly aggregates?: Aggregates;
}

/**
 * Units of work in transactions of PostgreSQL. The inbox row is written right after BEGIN: its unique index makes a second
 * try that runs at the same time wait for the end of the first, and then find that there is nothing more to do.
 */
export function createPostgresqlUnitsOfWork(database: Database, config: PostgresqlUnitsOfWorkConfig): UnitsOfWork {
  return {
    database: database.name,
    aggregates: config.aggregates ?? null,
    begin: (occasion) => begin([occasion], database, config),
    beginMany: (occasions) => begin(occasions, database, config),
  };
}

function begin(
  occasions: readonly Occasion[],
  database: Database,
  { outbox, aggregates: stated }: PostgresqlUnitsOfWorkConfig,
): UnitOfWork {
  const { name, schema } = database;
  const aggregates = stated ?? null;
  const receipts = occasions[0]?.receipts ?? null;
  const keys = receipts === null ? occasions.map(inboxKey) : [];
  let entryIds = occasions.map(({ entryId }) => entryId);
  let fresh: ReadonlySet<string> = new Set();
  const raised: Raised[] = [];
  const appends: AskedAppend[] = [];
  const held = new Set<string>();
  let duplicate = false;
  let closed = false;
  let trouble: MisconfiguredError | null = null;

  const transaction = database.transaction(keys.length === 0 || receipts !== null ? undefined : writeInbox);

  async function writeInbox(sql: TransactionSql): Promise<void> {
    const inbox = sql`${sql(schema)}.inbox`;
    const [handler] = occasions.map((each) => each.handler);
    const rows = await ours(
      keys.length === 1
        ? sql<{ message_id: string }[]>`
            insert into ${inbox} (message_id, handler) values (${keys[0] ?? ''}, ${handler ?? ''})
            on conflict do nothing returning message_id`
        : // In one order everywhere, so that two with the same messages wait for each other and never in a circle.
          sql<{ message_id: string }[]>`
            insert into ${inbox} (message_id, handler)
            select key, ${handler ?? ''} from json_array_elements_text(${JSON.stringify([...keys].sort())}::text::json) key
            on conflict do nothing returning message_id`,
    );
    fresh = new Set(rows.map(({ message_id }) => message_id));
    duplicate = fresh.size === 0;
    if (duplicate) throw new DuplicateError();
  }

  /** A statement of domaind's own: what it fails with is the database's, not the handler's. */
  async function ours<T>(statement: PromiseLike<T>): Promise<T> {
    try {
      return await statement;
    } catch (error) {
      const translated = translate(error, name);
      if (translated instanceof MisconfiguredError) trouble ??= translated;
      throw translated;
    }
  }

  function open(): void {
    if (duplicate) throw new DuplicateError();
    if (closed) throw new ClosedError();
  }

  /** Their events go to the outbox before those that were raised. */
  async function writeAppends(to: Aggregates): Promise<void> {
    const run: RunText = (text, parameters) => transaction.sql.unsafe(text, parameters);
    // What is elsewhere must not be written to for a message that was handled before.
    if (to.within === null && receipts === null) await ours(transaction.sql`select 1`);
    const { events } = await ours(
      to.within === null ? to.append(appends, appendSeed(occasions)) : to.within(run, appends, randomUUID()),
    );
    if (outbox) raised.unshift(...events);
  }

  /** All of them in one statement, in their order. */
  async function writeRaised(): Promise<void> {
    await ours(transaction.sql.unsafe(outboxCall(schema), outboxParameters(raised)));
  }

  async function leaveReceipts({ record }: Receipts): Promise<void> {
    if ((await ours(record(transaction.sql, entryIds))) === 'recorded') return;
    if (entryIds.length > 1) throw takenMeanwhile();
    duplicate = true;
    throw new DuplicateError();
  }

  async function commit(): Promise<'committed' | 'duplicate' | 'untouched'> {
    if (duplicate) return 'duplicate';
    if (closed) throw new ClosedError();
    closed = true;
    if (appends.length > 0 && aggregates !== null) await writeAppends(aggregates);
    if (raised.length > 0) await writeRaised();
    if (transaction.state === 'unopened') return 'untouched';
    if (receipts !== null) await leaveReceipts(receipts);
    await transaction.commit();
    return 'committed';
  }

  return {
    get state(): UnitOfWorkState {
      if (duplicate) return 'duplicate';
      if (closed) return 'closed';
      return transaction.state === 'unopened' && raised.length + appends.length === 0 ? 'untouched' : 'open';
    },
    get sql() {
      open();
      return transaction.sql;
    },
    store(collection) {
      checkCollectionName(collection);
      return postgresqlCollection(collection, { sql: transaction.sql, schema, held, open, ours });
    },
    add(message) {
      open();
      if (aggregates?.raises) appends.push(raisedAppend(message));
      else if (outbox) raised.push(message);
      else throw noOutbox(name);
    },
    append(asked) {
      open();
      if (aggregates === null) throw noEventStore(name);
      if (asked.events.length > 0) appends.push(asked);
    },
    async claim() {
      open();
      if (receipts !== null) {
        const told = await ours(receipts.fresh(entryIds));
        entryIds = entryIds.filter((_, index) => told[index] === true);
        duplicate = !told.includes(true);
        return told;
      }
      try {
        await transaction.sql`select 1`;
      } catch (error) {
        if (!duplicate) throw error;
      }
      return firstOfEach(keys, fresh);
    },
    async commit() {
      try {
        return await commit();
      } catch (error) {
        await transaction.rollback();
        // Known only now, where the raising of messages was the first thing to do.
        if (duplicate) return 'duplicate';
        throw error;
      }
    },
    async rollback() {
      closed = true;
      await transaction.rollback();
    },
    outageBehind(error) {
      if (transaction.outage instanceof UnavailableError) return transaction.outage;
      return trouble ?? outageIn(error, name);
    },
  };
}

/** What an error of one of domaind's own statements means to a handler. */
function translate(error: unknown, database: string): Error {
  const code = codeOf(error);
  // The SQL functions say themselves what they were given, and hold no value in it.
  if (code === '22023' && error instanceof Error) return new TypeError(error.message, { cause: error });
  if (code === '40P01') {
    const mend = 'read the documents in one order in all handlers';
    return new ConcurrencyError(`two handlers waited for each other's documents: ${mend}`, { cause: error });
  }
  return toDatabaseError(error, database);
}

/**
 * The outage that a statement of the handler's own has met, perhaps as the cause of an error that the handler made of
 * it. What PostgreSQL says about the statement itself, conflicts and cancellations included, is the handler's to see to.
 */
function outageIn(error: unknown, database: string): UnavailableError | null {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < 8; depth += 1) {
    if (at.name === 'PostgresError' && /^(08|25006|53|57P0|58)/.test(codeOf(at))) {
      const outage = toDatabaseError(at, database);
      return outage instanceof UnavailableError ? outage : null;
    }
    at = at.cause;
  }
  return null;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
