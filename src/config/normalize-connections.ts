import type { BrokerConfig, DatabaseConfig, EventStoreConfig, TlsConfig } from './config.ts';
import type { CacheConfig } from './store-config.ts';
import type { SureReader } from './sure-reader.ts';
import { plainUri } from './uri.ts';

const byName = <Each extends { readonly name: string }>(each: readonly Each[]): ReadonlyMap<string, Each> =>
  new Map(each.map((one) => [one.name, one]));

/** `[databases.<name>]`. `default` is in memory where the file does not name it. */
export function normalizeDatabases({
  names,
  text,
  number,
  millis,
  maybe,
}: SureReader): ReadonlyMap<string, DatabaseConfig> {
  const stated = names(['databases']);
  const all = stated.includes('default') ? stated : ['default', ...stated];
  return byName(
    all.map((name): DatabaseConfig => {
      if (maybe.text(['databases', name, 'provider']) !== 'postgresql') return { provider: 'memory', name };
      const directUri = maybe.text(['databases', name, 'direct_uri']);
      return {
        provider: 'postgresql',
        name,
        uri: plainUri(text('databases', name, 'database_uri')),
        directUri: directUri === null ? null : plainUri(directUri),
        schema: text('databases', name, 'schema'),
        poolSize: number('databases', name, 'pool_size'),
        maxOverflow: number('databases', name, 'max_overflow'),
        connectTimeoutMs: millis('databases', name, 'connect_timeout_seconds'),
        statementTimeoutMs: millis('databases', name, 'statement_timeout_seconds'),
      };
    }),
  );
}

/** `[brokers.<name>]`. */
export function normalizeBrokers(
  reader: SureReader,
  absolute: (path: string) => string,
): ReadonlyMap<string, BrokerConfig> {
  const { names, text, millis, flag, maybe } = reader;
  return byName(
    names(['brokers']).map((name): BrokerConfig => {
      const provider = text('brokers', name, 'provider');
      if (provider !== 'redis' && provider !== 'redis_pubsub') return { provider: 'inline', name };
      const uri = text('brokers', name, 'URI');
      return {
        provider,
        name,
        uri,
        connectTimeoutMs: millis('brokers', name, 'socket_connect_timeout'),
        commandTimeoutMs: millis('brokers', name, 'socket_timeout'),
        maxConnections: maybe.number(['brokers', name, 'max_connections']),
        hashTag: flag('brokers', name, 'hash_tag'),
        tls: uri.startsWith('rediss:') ? normalizeTls(reader, name, absolute) : null,
      };
    }),
  );
}

function normalizeTls({ maybe, flag }: SureReader, broker: string, absolute: (path: string) => string): TlsConfig {
  const file = (key: string) => {
    const path = maybe.text(['brokers', broker, key]);
    return path === null ? null : absolute(path);
  };
  return {
    caFile: file('tls_ca_file'),
    certFile: file('tls_cert_file'),
    keyFile: file('tls_key_file'),
    insecureSkipVerify: flag('brokers', broker, 'insecure_skip_verify'),
  };
}

/** `[event_store]`. */
export function normalizeEventStore({ text, number }: SureReader): EventStoreConfig {
  if (text('event_store', 'provider') === 'memory') return { provider: 'memory' };
  const uri = plainUri(text('event_store', 'database_uri'));
  return { provider: 'message_db', uri, maxConnections: number('event_store', 'max_connections') };
}

/** `[caches.<name>]`. */
export function normalizeCaches({ names, text, millis }: SureReader): ReadonlyMap<string, CacheConfig> {
  return byName(
    names(['caches']).map((name): CacheConfig => {
      const ttlMs = millis('caches', name, 'TTL');
      if (text('caches', name, 'provider') === 'memory') return { provider: 'memory', name, ttlMs };
      return { provider: 'redis', name, uri: text('caches', name, 'URI'), ttlMs };
    }),
  );
}
