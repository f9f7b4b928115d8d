import { connect as connectSocket } from 'node:net';
import type { Sql } from 'postgres';
import type { Clock, Millis } from '../runtime/clock.ts';
import { MisconfiguredError, UnavailableError } from '../runtime/errors.ts';
import { isConnectionLoss } from './errors-of-postgresql.ts';
import type { Pooled } from './pool.ts';
import { within } from './within.ts';

/** One connection to PostgreSQL, from its start to its end: never repaired, only replaced. */
export interface Link extends Pooled {
  /** A client of this connection alone. */
  readonly sql: Sql;
  /** Why it ended, or null while it stands. */
  lost(): Error | null;
  /** Asks the server to stop the statement under way. Nobody waits for it, and it may come too late. */
  cancel(): void;
  /** Ends it at once, whatever is under way: also where the other side has stopped to answer. */
  destroy(): void;
  /** Ends it if `error`, which a statement failed with, says that it is broken: known before the socket says so. */
  check(error: unknown): void;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface LinkOptions {
  readonly target: Target;
  /** Whether a server without TLS will not do. */
  readonly needsTls: boolean;
  readonly connectTimeoutMs: Millis;
  /** Replaced when it is older than this: name servers and load balancers change their minds. */
  readonly maxAgeMs: Millis;
  /** Whether a standby will do. */
  readonly acceptsStandby: boolean;
}

/** What the driver must be made with: its socket, and word of its end. */
export interface ClientHooks {
  readonly socket: () => Promise<unknown>;
  readonly onclose: () => void;
}

export interface LinkDeps {
  /** A client of at most one connection, which is not made yet. */
  readonly client: (target: Target, hooks: ClientHooks) => Sql;
  readonly clock: Clock;
  readonly onLost: (error: Error) => void;
}

/**
 * Connects. The driver (postgres 3.4.9) reconnects a client by itself, and then sends what was meant for a transaction
 * outside of it; a statement in a transaction whose connection has ended kills the process with an uncaught
 * TypeError; and a connection that ends between a write and its flush leaves its client stuck for good. So each client
 * gets one socket, which is ours to destroy, and is thrown away with it (ADR-6).
 */
export async function openLink(options: LinkOptions, deps: LinkDeps): Promise<Link> {
  const { target, needsTls, connectTimeoutMs, maxAgeMs, acceptsStandby } = options;
  const { client, clock, onLost } = deps;
  const openedAt = clock.monotonic();
  const socket = Object.assign(
    connectSocket(target.host.startsWith('/') ? pathOf(target) : { ...target, noDelay: true }),
    // The name that the certificate must bear.
    { host: target.host },
  );
  // The driver listens too, but only once it has the socket, and no longer when it has ended.
  const broken = new Promise<never>((_, reject) => {
    socket.on('error', reject).on('close', () => reject(ended()));
  });
  broken.catch(() => undefined);
  let withoutTls = false;
  // The answer to SSLRequest; the driver shakes hands all the same, and is hung up on.
  if (needsTls) {
    socket.once('data', (answer) => {
      withoutTls = answer.toString('latin1', 0, 1) === 'N';
    });
  }
  let taken = false;
  let lost: Error | null = null;
  let ending = false;

  const sql = client(target, {
    async socket() {
      if (taken) throw ended();
      taken = true;
      return socket;
    },
    onclose: () => fail(ended()),
  });

  function fail(error: Error): void {
    if (lost !== null) return;
    lost = error;
    void discard();
    if (!ending) onLost(error);
  }

  /** Statements that the driver still holds are turned away, rather than sent over a connection that is not there. */
  async function discard(): Promise<void> {
    await sql.end({ timeout: 0 });
    socket.destroy();
  }

  function destroy(): void {
    ending = true;
    socket.destroy();
    fail(ended());
  }

  const hello = async () => {
    const result = await sql<{ pid: number; standby: boolean }[]>`
      select pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_is_in_recovery() as standby`;
    return { session: result.state, row: result[0] };
  };
  const late = () => new UnavailableError('database_unreachable', `no answer within ${connectTimeoutMs} ms`);

  try {
    const { session, row } = await within(clock, connectTimeoutMs, Promise.race([hello(), broken]), late);
    if (row?.standby && !acceptsStandby)
      throw new UnavailableError('database_read_only', `${target.host} is a standby`);
    // A pooler hands out keys of its own. Behind one, two statements may meet two sessions: none may be prepared.
    sql.options.prepare = session.pid === row?.pid;
    return {
      sql,
      lost: () => lost,
      usable: () => lost === null && clock.monotonic() - openedAt < maxAgeMs,
      cancel: () => requestCancel(target, session.pid, session.secret),
      destroy,
      check(error) {
        if (error instanceof Error && isConnectionLoss(error)) fail(error);
      },
      async end() {
        ending = true;
        // A moment for the good-bye; after it the socket goes, also where nobody reads it.
        await sql.end({ timeout: 1 });
        socket.destroy();
      },
    };
  } catch (error) {
    destroy();
    if (withoutTls) throw new MisconfiguredError('database_tls', `${target.host} has no TLS, which sslmode asks for`);
    throw error;
  }
}

const ended = () => Object.assign(new Error('the connection has ended'), { code: 'CONNECTION_CLOSED' });

const pathOf = ({ host, port }: Target) => ({ path: `${host}/.s.PGSQL.${port}` });

/** CancelRequest of the frontend protocol, on a connection of its own; the server answers by closing it. */
function requestCancel(target: Target, pid: number, secret: number): void {
  const signal = AbortSignal.timeout(2_000);
  const socket = connectSocket(target.host.startsWith('/') ? pathOf(target) : { ...target, signal });
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80_877_102, 4);
  request.writeUInt32BE(pid >>> 0, 8);
  request.writeUInt32BE(secret >>> 0, 12);
  socket.on('error', () => undefined);
  socket.unref();
  socket.end(request);
}
