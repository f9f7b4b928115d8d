import { readFile } from 'node:fs/promises';
import type { Sql, TransactionSql } from 'postgres';
import { DomaindError } from '../runtime/errors.ts';

/** A query of postgres 3.4.9, with what that version keeps in it. Nothing is sent before somebody awaits it. */
export interface Statement {
  /** Called once, when it is to be sent. */
  handler: (statement: Statement) => void;
  canceller: ((statement: Statement) => void) | null;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  strings: readonly string[];
  cancelled: unknown;
  readonly active: boolean;
}

const isStatement = (made: unknown): made is Statement => made instanceof Promise && 'canceller' in made;

/**
 * The driver's way to write statements, with `submit` in the place of its sending. `maker` only makes them, and
 * resolves types as the connections do that it was made with. Savepoints are numbered, and nest.
 */
export function statementsOf(
  maker: Sql,
  submit: (statement: Statement) => void,
  cancel: () => void = () => undefined,
): TransactionSql {
  let savepoints = 0;

  function taken(made: unknown): unknown {
    if (!isStatement(made)) return made;
    made.handler = submit;
    made.canceller = (statement) => {
      if (statement.active) return cancel();
      statement.cancelled = true;
      statement.reject(Object.assign(new Error('cancelled before it was sent'), { code: '57014' }));
    };
    return made;
  }

  const unsafe = (text: string, ...rest: readonly unknown[]) =>
    taken(Reflect.apply(maker.unsafe, maker, [text, ...rest]));

  function file(path: string, ...rest: readonly unknown[]): unknown {
    const made = unsafe('', ...rest);
    if (!isStatement(made)) return made;
    made.handler = (statement) => {
      const ready = (text: string) => {
        statement.strings = [text];
        submit(statement);
      };
      readFile(path, 'utf8').then(ready, statement.reject);
    };
    return made;
  }

  async function savepoint(...args: readonly unknown[]): Promise<unknown> {
    const work = args.find((arg) => typeof arg === 'function');
    if (!work) throw new TypeError('sql.savepoint needs a function');
    const name = `s${savepoints++}`;
    await unsafe(`savepoint ${name}`);
    try {
      const result: unknown = await work(sql);
      return Array.isArray(result) ? await Promise.all(result) : result;
    } catch (error) {
      await unsafe(`rollback to savepoint ${name}`);
      throw error;
    }
  }

  const sql = (...args: readonly unknown[]) => taken(Reflect.apply(maker, undefined, args));
  const notify = (channel: string, payload: string) =>
    unsafe('select pg_catalog.pg_notify($1, $2)', [channel, payload]);
  const { types, typed, array, json } = maker;
  const prepare = () => {
    throw new DomaindError('no_two_phase_commit', 'a transaction of domaind cannot be prepared for two-phase commit');
  };
  const rest = { types, typed, array, json, unsafe, file, notify, savepoint, begin: savepoint, prepare };
  // The driver's own transaction has the same functions, and these make what the driver's maker makes.
  return Object.assign(sql, rest) as unknown as TransactionSql;
}

/**
 * Sends it over `connection` and waits for its end: null, or the error it failed with. Iterating over a cursor replaces
 * `resolve` and `reject` at each step, so they are watched where the driver looks them up.
 */
export function execute(statement: Statement, connection: Sql): Promise<unknown> {
  return new Promise((settle) => {
    watch(statement, 'resolve', () => settle(null));
    watch(statement, 'reject', (error) => settle(error));
    if (statement.cancelled) return settle(null);
    handlerOf(connection)(statement);
  });
}

function watch(statement: Statement, name: 'resolve' | 'reject', seen: (value: unknown) => void): void {
  let current = statement[name];
  Object.defineProperty(statement, name, {
    get: () => (value: unknown) => {
      current(value);
      seen(value);
    },
    set: (next: Statement['resolve']) => {
      current = next;
    },
  });
}

/** How the driver sends: known by every statement it makes. */
function handlerOf(connection: Sql): (statement: Statement) => void {
  const probe: unknown = connection.unsafe('');
  if (!isStatement(probe)) throw new TypeError('postgres does not make statements as version 3.4.9 does');
  return probe.handler;
}
