import type { DatabaseConfig } from '../config/config.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { systemClock } from '../runtime/clock.ts';
import { MisconfiguredError, UnavailableError } from '../runtime/errors.ts';
import type { Database, DatabaseNotice } from './database.ts';
import { toDatabaseError } from './errors-of-postgresql.ts';
import type { Link } from './link.ts';
import { createPool } from './pool.ts';
import { createConnector } from './postgresql-connector.ts';
import { createTransaction } from './transaction.ts';
import { within } from './within.ts';

export type PostgresqlConfig = Extract<DatabaseConfig, { readonly provider: 'postgresql' }>;

export interface DatabaseDeps {
  readonly notice: (notice: DatabaseNotice) => void;
  readonly clock?: Clock;
  /** No handler works here: every connection is for the daemon itself. */
  readonly withoutHandlers?: boolean;
}

const maxAgeMs: Millis = 30 * 60_000;

/** A connection above `pool_size` is kept so long without work. */
const idleMs: Millis = 30_000;

/** How long `close` waits for connections that are being made. */
const openingMs: Millis = 1_000;

/** Of all connections, those kept for the daemon itself: relays, leases, counts. */
const ownShare = 3;

/**
 * A database of provider postgresql. Nothing is connected before the first statement; `poolSize` connections are kept,
 * up to `maxOverflow` more are made when needed. There are never fewer than two: one for the daemon, one for handlers.
 * Throws MisconfiguredError for a URI that is none.
 */
export function openDatabase(config: PostgresqlConfig, deps: DatabaseDeps): Database {
  const { notice, clock = systemClock, withoutHandlers = false } = deps;
  const { name, uri, schema, poolSize, maxOverflow, connectTimeoutMs, statementTimeoutMs } = config;
  if (!/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(schema)) {
    throw new MisconfiguredError('database_schema', `[databases.${name}] schema must be letters, digits, _ and $`);
  }
  const translate = (error: unknown) => toDatabaseError(error, name);
  const links = new Set<Link>();
  const opening = new Set<Promise<Link>>();
  let reachable = true;
  const stopped = new AbortController();

  function lost(error: unknown): void {
    if (!reachable || stopped.signal.aborted) return;
    reachable = false;
    notice({ kind: 'connection_lost', error: translate(error) });
  }

  function found(): void {
    if (reachable) return;
    reachable = true;
    notice({ kind: 'connection_ready', error: null });
  }

  const { maker, open } = createConnector({ name, uri, connectTimeoutMs, maxAgeMs }, { clock });

  async function connect(): Promise<Link> {
    const connecting = open({ onLost: lost });
    opening.add(connecting);
    try {
      const link = await connecting;
      for (const old of links) if (old.lost() !== null) links.delete(old);
      links.add(link);
      found();
      return link;
    } catch (error) {
      lost(error);
      throw error;
    } finally {
      opening.delete(connecting);
    }
  }

  const max = Math.max(2, poolSize + maxOverflow);
  const own = Math.min(ownShare, Math.floor(max / 2));
  const daemons = withoutHandlers
    ? createPool({ max: poolSize, keep: Math.min(ownShare, poolSize), idleMs }, connect, clock)
    : createPool({ max: own, keep: own, idleMs }, connect, clock);
  const handlers = withoutHandlers
    ? daemons
    : createPool({ max: max - own, keep: Math.max(1, poolSize - own), idleMs }, connect, clock);

  return {
    name,
    schema,
    async bounded(statement, ms = statementTimeoutMs) {
      const expired = new AbortController();
      let lent: Link | null = null;
      const work = async () => {
        const link = await daemons.lend(expired.signal);
        lent = link;
        try {
          expired.signal.throwIfAborted();
          return await statement(link.sql);
        } catch (error) {
          link.check(error);
          throw error;
        } finally {
          daemons.giveBack(link);
        }
      };
      const late = () => {
        const error = new UnavailableError('database_timeout', `database "${name}" did not answer within ${ms} ms`);
        expired.abort(error);
        lent?.cancel();
        lent?.destroy();
        return error;
      };
      return await within(clock, ms, work(), late).catch((error: unknown) => {
        throw translate(error);
      });
    },
    transaction: (first) =>
      createTransaction({
        maker,
        first: first ?? null,
        lend: handlers.lend,
        giveBack: handlers.giveBack,
        timeoutMs: statementTimeoutMs,
        clock,
        translate,
      }),
    async close() {
      stopped.abort();
      const reason = new UnavailableError('database_closed', `database "${name}" is closed`);
      daemons.close(reason);
      handlers.close(reason);
      // The driver asks for types when it has connected, and what that fails with is nobody's to catch: not cut short.
      await Promise.race([Promise.allSettled(opening), clock.sleep(openingMs, AbortSignal.timeout(openingMs))]);
      await Promise.all([...links].map((link) => link.end()));
    },
  };
}
