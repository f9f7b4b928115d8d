import { MisconfiguredError } from '../runtime/errors.ts';

/** Where a server is and who we are to it, as a URI says it. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  /** Never logged. */
  readonly password: string | null;
  readonly database: number;
}

/**
 * The parts of `redis[s]://[user[:password]@]host[:port][/database]`. Throws MisconfiguredError without a piece of the
 * URI, which may hold a password.
 */
export function redisAddressOf(uri: string): ServerAddress {
  const parsed = URL.canParse(uri) ? new URL(uri) : null;
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') throw malformed();
  const database = parsed.pathname.slice(1) || parsed.searchParams.get('db') || '0';
  if (!/^\d{1,5}$/.test(database)) throw malformed();
  return {
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(parsed.port || '6379'),
    username: parsed.username === '' ? null : decoded(parsed.username),
    password: parsed.password === '' ? null : decoded(parsed.password),
    database: Number(database),
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // The cause would hold a part of the password.
    throw malformed();
  }
}

const malformed = () =>
  new MisconfiguredError(
    'redis_uri',
    'the URI must be redis://[user:password@]host[:port][/database] or rediss://…; percent-encode the password',
  );
