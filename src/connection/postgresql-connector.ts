import type { Sql } from 'postgres';
import postgres from 'postgres';
import type { Clock, Millis } from '../runtime/clock.ts';
import { UnavailableError } from '../runtime/errors.ts';
import { postgresqlAddressOf } from './address-of-postgresql.ts';
import { toDatabaseError } from './errors-of-postgresql.ts';
import type { ClientHooks, Link, Target } from './link.ts';
import { openLink } from './link.ts';

export interface ConnectorConfig {
  /** The database's name in domain.toml. */
  readonly name: string;
  /** Holds a password: never logged. */
  readonly uri: string;
  readonly connectTimeoutMs: Millis;
  readonly maxAgeMs: Millis;
}

export interface LinkHooks {
  readonly onLost: (error: Error) => void;
  /** Called with what comes by NOTIFY, on a connection that listens. */
  readonly onNotify?: (channel: string, payload: string) => void;
}

export interface Connector {
  /** Makes statements; is never connected itself. */
  readonly maker: Sql;
  /** A connection to the first of the hosts that answers and, where there are several, takes writes. Errors are translated. */
  open(hooks: LinkHooks): Promise<Link>;
}

/** Makes connections to one database. Throws MisconfiguredError for a URI that is none. */
export function createConnector(config: ConnectorConfig, { clock }: { readonly clock: Clock }): Connector {
  const { name, uri, connectTimeoutMs, maxAgeMs } = config;
  const { hosts, user, password, database, tls, parameters } = postgresqlAddressOf(uri);
  const maker = postgres({
    ...(user === null ? {} : { user }),
    ...(password === null ? {} : { password }),
    ...(database === null ? {} : { database }),
    ssl: tls,
    max: 1,
    connect_timeout: 0,
    max_lifetime: null,
    prepare: false,
    onnotice: () => undefined,
    connection: { application_name: 'domaind', ...parameters },
  });
  const builtIn = Object.keys(maker.options.serializers).length;

  /** A client that shares with `maker` all it knows of types, and has one socket, given to it. */
  function client(target: Target, hooks: ClientHooks, onnotify: LinkHooks['onNotify']): Sql {
    const known = Object.keys(maker.options.serializers).length > builtIn;
    // An IP address is no server name to the driver, and its certificate would go unchecked.
    const ssl = typeof tls === 'object' ? { ...tls, host: target.host } : tls;
    const own = {
      host: [target.host],
      port: [target.port],
      ssl,
      fetch_types: !known,
      no_subscribe: true,
      onnotify,
      ...hooks,
    };
    // Options that were read once are taken as they are (postgres 3.4.9: parseOptions), with these in their place.
    return postgres({ ...maker.options, ...own } as unknown as postgres.Options<Record<string, never>>);
  }
  return {
    maker,
    async open({ onLost, onNotify }) {
      let failure: Error | null = null;
      for (const target of hosts) {
        try {
          const needsTls = tls !== false && tls !== 'prefer';
          const options = { target, needsTls, connectTimeoutMs, maxAgeMs, acceptsStandby: hosts.length === 1 };
          const made = (to: Target, hooks: ClientHooks) => client(to, hooks, onNotify);
          return await openLink(options, { client: made, clock, onLost });
        } catch (error) {
          failure = toDatabaseError(error, name);
          if (!(failure instanceof UnavailableError)) break;
        }
      }
      throw failure ?? new UnavailableError('database_unreachable', `database "${name}" has no host`);
    },
  };
}
