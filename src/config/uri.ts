import { didYouMean } from './nearest.ts';

/** A connection URI taken apart by hand: `new URL` keeps the whole text, password included, in its error. */
export interface UriParts {
  readonly scheme: string;
  readonly user: string | null;
  readonly password: string | null;
  /** `host:port`, more than one parted by commas. */
  readonly hosts: readonly { readonly host: string; readonly port: string | null }[];
  readonly path: string;
  readonly query: string | null;
  readonly fragment: string | null;
}

const generic = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#([\s\S]*))?$/;
const hostAndPort = /^(\[[0-9A-Fa-f:.]*\]|[^:[\]]*)(?::([\s\S]*))?$/;

/** The parts of a URI (RFC 3986, appendix B), or null where it has no scheme. */
export function splitUri(uri: string): UriParts | null {
  const [, scheme, authority = '', path = '', query, fragment] = generic.exec(uri) ?? [];
  if (scheme === undefined) return null;
  const at = authority.lastIndexOf('@');
  const userInfo = at === -1 ? null : authority.slice(0, at);
  const colon = userInfo?.indexOf(':') ?? -1;
  const hosts = authority.slice(at + 1).split(',');
  return {
    scheme,
    user: userInfo === null ? null : colon === -1 ? userInfo : userInfo.slice(0, colon),
    password: userInfo === null || colon === -1 ? null : userInfo.slice(colon + 1),
    hosts: hosts.map((each) => {
      const [, host = each, port = null] = hostAndPort.exec(each) ?? [];
      return { host, port };
    }),
    path,
    query: query ?? null,
    fragment: fragment ?? null,
  };
}

const strayAt = ({ path, query, fragment }: UriParts) =>
  [path, query ?? '', fragment ?? ''].some((part) => part.includes('@'));

/**
 * A URI that may be shown: `redis://app:***@redis.example:6379/0`. Where it is not clear which part is the password (an
 * `@` too many or too few, a port that is none), only the scheme is.
 */
export function maskUri(uri: string): string {
  const parts = splitUri(uri);
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]{0,30}:\/\//.exec(uri)?.[0] ?? '';
  const isUnclear =
    parts === null ||
    strayAt(parts) ||
    parts.fragment !== null ||
    /[\s@]/.test(parts.user ?? '') ||
    parts.hosts.some(({ host, port }) => !hostName.test(host) || !/^\d*$/.test(port ?? ''));
  if (isUnclear) return `${scheme}…`;
  // A user alone may be a password that lacks its colon.
  const userInfo = parts.user === null ? '' : parts.password === null ? '***@' : `${parts.user}:***@`;
  const hosts = parts.hosts.map(({ host, port }) => (port === null ? host : `${host}:${port}`)).join(',');
  const query = parts.query?.replace(/((?:^|&)[^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*/gi, '$1***');
  return `${parts.scheme}://${userInfo}${hosts}${parts.path}${query === undefined ? '' : `?${query}`}`;
}

const hostName = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]*)$/;

/** What a kind of server wants of its URI. */
const kinds = {
  redis: {
    schemes: /^rediss?$/,
    names: ['redis', 'rediss'],
    expected: 'a redis:// or rediss:// URL',
    path: /^\/?(?:\d{1,5})?$/,
    pathRule: 'the path must be the number of a database',
  },
  // A driver may be named, as SQLAlchemy has it: postgresql+psycopg://…
  postgresql: {
    schemes: /^postgres(?:ql)?(?:\+\w+)?$/,
    names: ['postgresql', 'postgres'],
    expected: 'a postgresql:// URL',
    path: /^(?:\/[^/\s]*)?$/,
    pathRule: 'the path must be the name of a database',
  },
} as const;

export type UriKind = keyof typeof kinds;

const encodeHint =
  'percent-encode the password: `@` as %40, `:` as %3A, `/` as %2F, `?` as %3F, `#` as %23, `%` as %25';

/** What is wrong with a connection URI, as the end of a sentence, or null. Never shows a password. */
export function uriFault(uri: string, kind: UriKind): string | null {
  const { schemes, names, expected, path, pathRule } = kinds[kind];
  if (uri === '') return `expected ${expected}, got an empty string`;
  if (/[\s\p{Cc}]/u.test(uri)) return `expected ${expected}, got one with a space or a control character in it`;
  const parts = splitUri(uri);
  if (parts === null) return `expected ${expected}, got something without "://"`;
  const seen = `got "${maskUri(uri)}"`;
  if (!schemes.test(parts.scheme))
    return `expected ${expected}, got "${parts.scheme}://…"${didYouMean(parts.scheme, names)}`;
  if (strayAt(parts) || `${parts.user}${parts.password}`.includes('@'))
    return `cannot tell the password from the host: ${encodeHint}`;
  if (parts.fragment !== null) return `a "#" ends the URL here: if it is part of the password, ${encodeHint}`;
  if (/%(?![0-9A-Fa-f]{2})/.test(`${parts.user}${parts.password}`))
    return `"%" must be followed by two hexadecimal digits: ${encodeHint}`;
  if (parts.hosts.length > 1 && kind === 'redis') return `expected one host, ${seen}`;
  for (const { host, port } of parts.hosts) {
    if (host === '' && !(kind === 'postgresql' && /(?:^|&)host=/.test(parts.query ?? '')))
      return `the host is missing, ${seen}`;
    if (!hostName.test(host)) return `the host is not a name or an address, ${seen}`;
    if (port !== null && !isPort(port)) return `the port must be 1 to 65535, ${seen}`;
  }
  if (!path.test(parts.path)) return `${pathRule}, ${seen}`;
  return null;
}

const isPort = (port: string): boolean => /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535;

/** The URI as a driver takes it: without the name of another driver in its scheme. */
export const plainUri = (uri: string): string => uri.replace(/^(postgres(?:ql)?)\+\w+:/, '$1:');
