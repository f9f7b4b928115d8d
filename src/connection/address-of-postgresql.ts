import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { MisconfiguredError } from '../runtime/errors.ts';

/** Where a PostgreSQL server is and who we are to it, as a URI says it. Null where the URI leaves it to PGUSER & co. */
export interface PostgresqlAddress {
  /** More than one where the URI lists them: the first that takes writes is used. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string | null;
  /** Never logged. */
  readonly password: string | null;
  readonly database: string | null;
  readonly tls: false | 'prefer' | 'require' | ConnectionOptions;
  /** What else is said to the server at the start: `application_name`, `options`. */
  readonly parameters: { readonly [name: string]: string };
}

const grammar =
  /^postgres(?:ql)?(?:\+[a-z0-9_]+)?:\/\/(?:([^:@/?#]*)(?::([^:@/?#]*))?@)?([^@/?#]*)(?:\/([^/?#]*))?(?:\?([^?#]*))?$/i;

/** For the server; the rest of what libpq knows is either read below or refused. */
const sentOn = new Set(['application_name', 'options', 'client_encoding', 'timezone', 'search_path']);
const ours = new Set([
  'sslmode',
  'ssl',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'host',
  'port',
  'user',
  'password',
  'dbname',
]);
/** Known to libpq, and either always so here or stated elsewhere in domain.toml. */
const ignored = new Set(['connect_timeout', 'target_session_attrs', 'keepalives', 'channel_binding', 'gssencmode']);

/**
 * The parts of `postgresql://[user[:password]@]host[:port][,host…]/database[?sslmode=…]`; a driver's name in the scheme
 * (`postgresql+psycopg2`) is passed over. Throws MisconfiguredError that says which part is wrong, and shows none.
 */
export function postgresqlAddressOf(uri: string): PostgresqlAddress {
  const [matched, user, password, authority = '', path, query = ''] = grammar.exec(uri.trim()) ?? [];
  if (matched === undefined) throw malformed('percent-encode the password where it has one of : @ / ? #');
  const stated = new URLSearchParams(query);
  const said = (name: string) => stated.get(name) ?? null;
  for (const name of stated.keys()) {
    if (!sentOn.has(name) && !ours.has(name) && !ignored.has(name)) {
      throw malformed(`the parameter "${name.slice(0, 40)}" is not known`);
    }
  }
  return {
    hosts: hostsOf(said('host') ?? decoded(authority), said('port')),
    user: said('user') ?? decodedOrNull(user),
    password: said('password') ?? decodedOrNull(password),
    database: said('dbname') ?? decodedOrNull(path),
    tls: tlsOf(said('sslmode') ?? said('ssl'), { ca: said('sslrootcert'), cert: said('sslcert'), key: said('sslkey') }),
    parameters: Object.fromEntries([...stated].filter(([name]) => sentOn.has(name))),
  };
}

function hostsOf(authority: string, ports: string | null): PostgresqlAddress['hosts'] {
  const general = ports?.split(',') ?? [];
  return authority.split(',').map((each, index) => {
    const [, bracketed, plain, port = general[index] ?? general[0] ?? '5432'] =
      /^(?:\[([0-9a-f:.]+)\]|(\/[^,]*|[^:[\]]*))(?::(.*))?$/i.exec(each) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
      throw malformed('a host is a name or an address, with a port from 1 to 65535');
    }
    return { host: host === '' ? 'localhost' : host, port: Number(port) };
  });
}

/** The modes of libpq. `require` encrypts without asking to whom, as it does there. */
function tlsOf(
  mode: string | null,
  files: Readonly<Record<'ca' | 'cert' | 'key', string | null>>,
): PostgresqlAddress['tls'] {
  const read = Object.fromEntries(
    Object.entries(files).flatMap(([name, path]) => (path === null || path === 'system' ? [] : [[name, fileAt(path)]])),
  );
  const withFiles = (plain: 'prefer' | 'require') =>
    Object.keys(read).length === 0 ? plain : { ...read, rejectUnauthorized: false };
  switch (mode) {
    case null:
      return files.ca === null ? false : read;
    case 'disable':
    case 'false':
      return false;
    case 'allow':
    case 'prefer':
      return 'prefer';
    case 'require':
    case 'true':
      // With a root certificate at hand, libpq treats `require` as `verify-ca`.
      return files.ca === null ? withFiles('require') : { ...read, checkServerIdentity: () => undefined };
    case 'verify-ca':
      return { ...read, checkServerIdentity: () => undefined };
    case 'verify-full':
      return read;
    default:
      throw malformed('sslmode is one of disable, allow, prefer, require, verify-ca, verify-full');
  }
}

function fileAt(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new MisconfiguredError('tls_file', `the TLS file ${path} cannot be read`, { cause });
  }
}

const decodedOrNull = (part: string | undefined): string | null =>
  part === undefined || part === '' ? null : decoded(part);

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // The cause would hold a part of the password.
    throw malformed('a % must be followed by two hexadecimal digits');
  }
}

const malformed = (fault: string) =>
  new MisconfiguredError(
    'database_uri',
    `database_uri must be postgresql://[user[:password]@]host[:port]/database[?sslmode=…]: ${fault}`,
  );
