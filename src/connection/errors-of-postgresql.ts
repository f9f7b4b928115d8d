import { DomaindError, MisconfiguredError, UnavailableError } from '../runtime/errors.ts';

type Verdict = readonly ['unavailable' | 'misconfigured', code: string, sentence: string];

const setup = 'run `domaind db setup`';

/**
 * What an SQLSTATE or a driver's code means to the daemon, longest prefix first (PostgreSQL documentation, appendix A).
 * Unavailable: the same statement may succeed later, and nobody is to blame. Misconfigured: somebody has to act.
 */
const table: readonly (readonly [prefix: string, verdict: Verdict])[] = [
  ['25006', ['unavailable', 'database_read_only', 'is read-only: it is a standby, or was made one']],
  ['40', ['unavailable', 'database_conflict', 'gave up on a transaction in favour of another']],
  ['53', ['unavailable', 'database_overloaded', 'is out of connections, memory or disk']],
  ['55P03', ['unavailable', 'database_conflict', 'did not get a lock in time']],
  ['57014', ['unavailable', 'database_timeout', 'cancelled a statement']],
  ['57P0', ['unavailable', 'database_unreachable', 'is starting, stopping or has ended the connection']],
  ['58', ['unavailable', 'database_overloaded', 'has trouble with its disk']],
  ['08', ['unavailable', 'database_unreachable', 'cannot be reached']],
  ['3D000', ['misconfigured', 'database_missing', 'does not exist on its server: create it, or mend database_uri']],
  ['28', ['misconfigured', 'database_login', 'refused the login: check user and password in database_uri']],
  ['SASL', ['misconfigured', 'database_login', 'could not prove that it knows the password']],
  [
    '42501',
    ['misconfigured', 'database_grant', 'does not allow this to our user: `domaind server --dry-run` names the grants'],
  ],
  ['42P01', ['misconfigured', 'database_schema', `has no table that is needed: ${setup}`]],
  ['42703', ['misconfigured', 'database_schema', `has a table without a column that is needed: ${setup}`]],
  ['42883', ['misconfigured', 'database_schema', `has no function that is needed: ${setup}`]],
  ['3F000', ['misconfigured', 'database_schema', `has no schema of that name: ${setup}`]],
  ['42', ['misconfigured', 'database_schema', `has other tables than those that are needed: ${setup}`]],
];

/** Codes of Node and of the driver that say nothing but: no connection. */
const unreachable =
  /^(E(CONN(REFUSED|RESET|ABORTED)|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOST(UNREACH|DOWN)|NET(UNREACH|DOWN)|NOENT|ACCES)|CONNECT_TIMEOUT|CONNECTION_(CLOSED|DESTROYED|ENDED)|ERR_STREAM_\w+|ERR_SOCKET_\w+)$/;
/** The server's last words on a connection; its end follows, but a moment later. */
const farewell = /^(57P0|08)/;
const tls = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|EPROTO|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Whether `error` only says that there was no connection, or that it ended: as the driver says it, or the server. */
export const isConnectionLoss = (error: unknown): boolean =>
  unreachable.test(codeOf(error)) || farewell.test(codeOf(error));

/**
 * The error to throw for one of the driver's, with it as the cause. Its text holds the code alone: a driver's message
 * may hold values, its `detail` does, and a URI holds the password.
 */
export function toDatabaseError(error: unknown, database: string): Error {
  if (error instanceof DomaindError) return error;
  const code = codeOf(error);
  const [kind, stable, sentence] = verdictOn(code);
  const message = `database "${database}" ${sentence}${code === '' ? '' : ` (${code})`}`;
  if (kind === 'unavailable') return new UnavailableError(stable, message, { cause: error });
  if (kind === 'misconfigured') return new MisconfiguredError(stable, message, { cause: error });
  return new DomaindError(stable, message, { cause: error });
}

function verdictOn(code: string): Verdict | readonly ['bug', code: string, sentence: string] {
  if (unreachable.test(code)) return ['unavailable', 'database_unreachable', 'cannot be reached'];
  if (tls.test(code)) {
    return ['misconfigured', 'database_tls', 'could not be reached by TLS: check sslmode and the certificates'];
  }
  const known = table.find(([prefix]) => code.startsWith(prefix));
  return known?.[1] ?? ['bug', 'database_refused', 'refused a statement'];
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : '';
}
