import type { Sql, TransactionSql } from 'postgres';
import type { Clock, Millis } from '../runtime/clock.ts';
import { DomaindError, UnavailableError } from '../runtime/errors.ts';
import type { Transaction } from './database.ts';
import type { Link } from './link.ts';
import type { Statement } from './statements.ts';
import { execute, statementsOf } from './statements.ts';
import { within } from './within.ts';

export interface TransactionDeps {
  /** Makes statements; is never connected itself. */
  readonly maker: Sql;
  readonly first: ((sql: TransactionSql) => Promise<void>) | null;
  readonly lend: (signal: AbortSignal) => Promise<Link>;
  readonly giveBack: (link: Link) => void;
  /** The bound of BEGIN, COMMIT and ROLLBACK. */
  readonly timeoutMs: Millis;
  readonly clock: Clock;
  readonly translate: (error: unknown) => Error;
}

/**
 *            first statement: connection, BEGIN, `first`              commit
 * unopened ───────────────────────────────────────────────▶ open ───────────────▶ ended
 *    └── commit, rollback: nothing to do ─────────────────────┴───── rollback ──────▶
 */
export function createTransaction(deps: TransactionDeps): Transaction {
  const { maker, first, lend, giveBack, timeoutMs, clock, translate } = deps;
  const ended = new AbortController();
  let state: Transaction['state'] = 'unopened';
  /** Lent to us, and not given back yet. */
  let link: Link | null = null;
  let opening: Promise<Link> | null = null;
  let outage: Error | null = null;
  let firstError: unknown = null;
  let underWay = 0;
  let last: Promise<void> = Promise.resolve();

  const sql = statementsOf(maker, submit, () => link?.cancel());

  /** One at a time: the driver confuses statements that are sent together when one of them cannot be sent. */
  function submit(statement: Statement): void {
    const before = last;
    last = before.then(async () => {
      try {
        if (state === 'ended') throw endedError();
        opening ??= open();
        await perform(statement, await opening);
      } catch (error) {
        firstError ??= error;
        statement.reject(error);
      }
    });
  }

  function asOutage(error: unknown): Error {
    const translated = translate(error);
    if (translated instanceof UnavailableError) outage ??= translated;
    return translated;
  }

  /** BEGIN and `first` go out together: their values can always be sent, and a round trip is a fifth of the whole. */
  async function open(): Promise<Link> {
    state = 'open';
    let opened: Link;
    try {
      opened = await lend(ended.signal);
      if (ended.signal.aborted) giveBack(opened);
      ended.signal.throwIfAborted();
      link = opened;
    } catch (error) {
      throw asOutage(error);
    }
    const begun = command('begin', opened);
    const prepared = first?.(statementsOf(maker, (statement) => void perform(statement, opened)));
    const [begin, preparation] = await Promise.allSettled([begun, prepared]);
    if (begin.status === 'rejected') throw asOutage(begin.reason);
    if (preparation.status === 'rejected') throw preparation.reason;
    return opened;
  }

  async function perform(statement: Statement, on: Link): Promise<void> {
    if (on.lost() !== null) return statement.reject(noteLoss(on));
    if (link !== on) return statement.reject(endedError());
    underWay += 1;
    const error = await execute(statement, on.sql);
    underWay -= 1;
    firstError ??= error;
    on.check(error);
    if (on.lost() !== null) noteLoss(on);
  }

  async function command(text: string, on: Link): Promise<string> {
    const late = () => new UnavailableError('database_timeout', `no answer to ${text} within ${timeoutMs} ms`);
    underWay += 1;
    try {
      const { command: said } = await within(clock, timeoutMs, on.sql.unsafe(text), late);
      return said;
    } catch (error) {
      on.check(error);
      throw error;
    } finally {
      underWay -= 1;
    }
  }

  function noteLoss(on: Link): Error {
    outage ??= translate(on.lost());
    return outage;
  }

  function release(on: Link): void {
    if (link !== on) return;
    link = null;
    giveBack(on);
  }

  async function undo(on: Link): Promise<void> {
    if (underWay > 0) {
      on.cancel();
      on.destroy();
    } else if (on.lost() === null) {
      await command('rollback', on).catch(() => on.destroy());
    }
    release(on);
  }

  async function commitOn(on: Link): Promise<void> {
    const said = await command('commit', on).catch((error: unknown) => {
      on.destroy();
      release(on);
      const cause = { cause: error };
      outage = new UnavailableError('commit_unknown', 'no answer to COMMIT: it may have taken place or not', cause);
      throw outage;
    });
    release(on);
    if (said === 'COMMIT') return;
    const cause = { cause: firstError };
    throw new DomaindError('transaction_aborted', 'a statement had failed, so nothing was committed', cause);
  }

  return {
    sql,
    get state() {
      return state;
    },
    get outage() {
      return outage;
    },
    async commit() {
      for (let seen: Promise<void> | null = null; seen !== last; await seen) seen = last;
      if (state === 'ended') throw endedError();
      const opened = state === 'open';
      state = 'ended';
      if (!opened) return;
      if (link === null) throw firstError;
      const on = link;
      try {
        await opening;
      } catch (error) {
        await undo(on);
        throw error;
      }
      if (on.lost() === null) return commitOn(on);
      release(on);
      throw noteLoss(on);
    },
    async rollback() {
      state = 'ended';
      ended.abort(endedError());
      if (link !== null) await undo(link);
    },
  };
}

const endedError = () =>
  new DomaindError('transaction_ended', 'the transaction has ended: the work it was for is over, or was cut short');
