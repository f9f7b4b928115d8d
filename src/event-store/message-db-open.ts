import { postgresqlAddressOf } from '../connection/address-of-postgresql.ts';
import type { Database, DatabaseNotice } from '../connection/database.ts';
import { openDatabase } from '../connection/postgresql.ts';
import { messageStorePath } from '../message/append-call.ts';
import type { Clock, Millis } from '../runtime/clock.ts';

export interface MessageDbConfig {
  /** Holds a password: never logged. */
  readonly uri: string;
  readonly maxConnections: number;
}

export interface MessageDbDeps {
  readonly clock: Clock;
  readonly notice: (notice: DatabaseNotice) => void;
}

const connectTimeoutMs: Millis = 5_000;
const statementTimeoutMs: Millis = 30_000;

/** Connections to a Message DB, none made before it is needed, with the search path that its functions need. */
export const openMessageDb = ({ uri, maxConnections }: MessageDbConfig, { clock, notice }: MessageDbDeps): Database =>
  openDatabase(
    {
      provider: 'postgresql',
      name: 'event store',
      uri: withPath(uri),
      directUri: null,
      schema: 'message_store',
      poolSize: maxConnections,
      maxOverflow: 0,
      connectTimeoutMs,
      statementTimeoutMs,
    },
    { clock, notice, withoutHandlers: true },
  );

/** A path that the URI states itself is kept. */
const withPath = (uri: string): string =>
  /[?&]search_path=/.test(uri)
    ? uri
    : `${uri}${uri.includes('?') ? '&' : '?'}search_path=${encodeURIComponent(messageStorePath)}`;

/** Whether two URIs lead to one database, as whichever user. Throws MisconfiguredError for a URI that is none. */
export function isSameDatabase(one: string, other: string): boolean {
  const place = (uri: string) => {
    const { hosts, database, user } = postgresqlAddressOf(uri);
    return JSON.stringify([hosts.map(({ host, port }) => `${host.toLowerCase()}:${port}`), database ?? user]);
  };
  return place(one) === place(other);
}
