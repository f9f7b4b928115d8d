import type { MessageName, Payloads } from '../handler/handler.ts';
import type { NewMessage } from '../message/compose.ts';
import { outboxCall, outboxParameters } from '../message/outbox-call.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { ClientProcessOptions, ClientRaiseOptions } from './messages.ts';
import { commandOf, eventOf } from './messages.ts';

/**
 * How any client runs a parametrised query: `$1` in the text, texts as parameters, inside the transaction that the
 * message is to belong to. Answers its rows, as an array or in `rows`.
 *
 *   pg        (text, params) => client.query(text, params)
 *   postgres  (text, params) => sql.unsafe(text, params)
 *   Prisma    (text, params) => tx.$queryRawUnsafe(text, ...params)
 */
export type RunQuery = (text: string, params: string[]) => PromiseLike<unknown>;

export interface WriteOptions {
  /** Where the tables of domaind are; default `public`. */
  readonly schema?: string;
}

/** Writes an event to the outbox by a client of one's own; its message id. Throws TypeError before anything is run. */
export async function raise<Name extends MessageName>(
  run: RunQuery,
  name: Name,
  options: ClientRaiseOptions<Payloads[Name]>,
  { schema = 'public' }: WriteOptions = {},
): Promise<string> {
  return write(run, eventOf(name, options), schema);
}

/** Writes a command to the outbox by a client of one's own; its message id. Throws TypeError before anything is run. */
export async function process<Name extends MessageName>(
  run: RunQuery,
  name: Name,
  data: Payloads[Name],
  options: ClientProcessOptions,
  { schema = 'public' }: WriteOptions = {},
): Promise<string> {
  return write(run, commandOf(name, data, options), schema);
}

async function write(run: RunQuery, message: NewMessage, schema: string): Promise<string> {
  if (!/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(schema)) {
    throw new MisconfiguredError('database_schema', 'schema must be letters, digits, _ and $');
  }
  return idIn(await run(outboxCall(schema), outboxParameters([message])));
}

/** The one value of the one row, in whichever shape the client gives rows. */
export function idIn(answer: unknown): string {
  const rows: unknown = typeof answer === 'object' && answer !== null && 'rows' in answer ? answer.rows : answer;
  const row: unknown = Array.isArray(rows) ? rows[0] : null;
  const id: unknown = typeof row === 'object' && row !== null ? Object.values(row)[0] : null;
  if (typeof id === 'string') return id;
  throw new TypeError('the query function must answer the rows of the query: an array, or an object with `rows`');
}
